/**
 * list.ts - what an application sees of the engine: one list.
 *
 * - One contract for everything that can be read: `snapshot()` and `subscribe()`.
 * - Reading and writing are synchronous. Only opening, flushing and closing wait.
 * - A write never fails because of the network. It is kept, and `status` tells how many
 *   are still on their way. What it does return is what the caller must act on. A caller's
 *   mistake throws where it is made.
 *
 * The list outlives its sessions (session.ts). While one is being replaced, which takes
 * milliseconds, writes are held here, and said to be volatile.
 */
import { checkData, checkOptions, type Checked } from "./check.js";
import {
  GONE,
  loadCore,
  OK,
  written,
  type Connection,
  type Engine,
  type EngineStatus,
  type Written,
} from "./core.js";
import { fail, quoted, STOPPED } from "./errors.js";
import type { PageEvent } from "./host.js";
import { makeHub } from "./readable.js";
import { openSession, type Session } from "./session.js";
import type { Data, DeadLetter, Direction, Id, List, Options, Problem, Status } from "./types.js";
import { makeView } from "./view.js";

type Edit =
  | { type: "ADD"; instanceId: Id; imageId: string; data?: Data<string> }
  | { type: "UPDATE_METADATA"; instanceId: Id; data: Data<string> }
  | { type: "DELETE"; instanceId: Id }
  | { type: "SORT_CHANGE"; instanceId?: undefined; sort: Direction };

/** What rescue.ts is let to see of a list. */
export type Inside = {
  readonly options: Checked<string>;
  writeDrafts(): void;
  /** When nothing is being replaced. */
  session(): Promise<Session | undefined>;
};
export const insides = new WeakMap<object, Inside>();

/** What is kept of the problems that nobody has listened for yet. */
const UNHEARD_MAX = 20;

/**
 * Opens a list: from what this browser has stored, network or not.
 *
 * Rejects with a {@link TidemarkError} that names the option which is wrong, or where
 * core.wasm was looked for.
 */
export async function openList<F extends string>(options: Options<F>): Promise<List<F>> {
  const checked = checkOptions(options);
  const { fields, newId, page } = checked;
  const module = await loadCore(options.core);

  let session: Session | undefined;
  /** Work on the session that is under way; writes wait in `held`. */
  let changing: Promise<void> | undefined;
  const held: Edit[] = [];
  let stale = false; // the session must be replaced as soon as nothing is volatile
  let away = false; // the page left; it may come back
  let closed = false;
  let stopped = false;
  let connection: Connection = "offline";
  let engineStatus: EngineStatus | undefined; // as it was told last
  let statusStale = false;
  let dead = ""; // the dead letters as they were told last
  let depth = 0; // of open batches
  const drafts = new Set<() => void>();
  let unheard: Problem[] | undefined = []; // said before anybody listened: while opening, say
  const news: (() => void)[] = []; // said when the change that brought them is whole
  let persisted = false; // asked for persistent storage

  /** "superseded", "problem", "status", "dead", and an item's receipts by "/" and its id. */
  const hub = makeHub();
  let deadLetters: readonly DeadLetter<F>[] = [];
  let status = { receipts: new Map() } as unknown as Status; // changed() fills it
  const untold = new Set<string>(); // names in the hub

  const ask = (call: (engine: Engine) => unknown): string | undefined =>
    session?.read((engine) => {
      call(engine);
      return engine.text();
    });
  const parsed = <T>(call: (engine: Engine) => unknown): T | undefined =>
    JSON.parse(ask(call) ?? "null") ?? undefined;
  const view = makeView<F>({
    item: (id) => ask((engine) => engine.item(id)),
    order: () => parsed((engine) => engine.order()),
    sort: () => ask((engine) => engine.sort()) as Direction,
    passing: () => depth > 0,
  });

  // ---- Writing ------------------------------------------------------------------------

  function alive(): void {
    if (stopped) fail("stopped", STOPPED);
  }

  /** The session that takes an edit; none while it is being replaced. */
  function usable(): Session | undefined {
    if (closed) fail("closed", "open it again");
    alive();
    if (depth === 0) {
      comeBack();
      session?.look(); // may find that it must end
    }
    return session;
  }

  /** What became of the edit; the first asks for storage that the browser keeps. */
  function writtenBy(by: Session): Written {
    const word = depth > 0 ? "ok" : by.read((engine) => written[engine.written()]);
    alive();
    if (!persisted) checked.persist().catch(() => {});
    persisted = true;
    return word!;
  }

  function write(edit: Edit): Written {
    const by = usable();
    const id = edit.instanceId ?? "";
    // What is not shown is removed, or was never here: no text of it can be meant.
    const needsItem = edit.type === "UPDATE_METADATA" || edit.type === "DELETE";
    if (needsItem && !(ask((engine) => engine.item(id)) ?? view.item(id).snapshot())) return "gone";
    if (!by) {
      held.push(edit);
      changed();
      return "volatile";
    }
    let refused = "";
    const code = by.run((engine) => {
      const code = engine.edit(JSON.stringify(edit));
      refused = engine.text();
      return code;
    });
    alive();
    if (code === GONE) return "gone";
    if (code !== OK) fail("edit", refused || `refused (${code})`);
    return writtenBy(by);
  }

  function batch(work: () => void): Written {
    const by = usable();
    const mark = held.length;
    by?.run((engine) => engine.begin());
    depth++;
    let keep = false;
    try {
      const result = work() as unknown;
      if (typeof (result as PromiseLike<unknown> | undefined)?.then === "function")
        fail("batch", "write at once, not async");
      keep = true;
    } finally {
      depth--;
      by?.run((engine) => engine.end(keep));
      if (!keep) held.length = mark;
      changed();
    }
    return by ? writtenBy(by) : "volatile";
  }

  function onDead(id: string, call: (engine: Engine) => number): Written {
    const by = usable();
    const code = by?.run(call);
    if (code === GONE) return "gone";
    if (!by || code) fail("dead-letter", `there is no ${quoted(id)}`);
    return writtenBy(by);
  }

  // ---- The page -----------------------------------------------------------------------

  const writeDrafts = (): void => [...drafts].forEach((write) => write());

  function onPage(event: PageEvent): void {
    if (event === "hidden" || event === "leave") writeDrafts();
    if (event === "visible" || event === "return") comeBack();
    session?.page(event);
    // It may never run again, or sleep while other pages take its writers over.
    if (event !== "leave" || !session || changing || stopped) return;
    if (status.volatile > 0) return;
    away = true;
    replace();
  }

  function comeBack(): void {
    if (!away) return;
    away = false;
    replace(begin);
  }

  /** Ends the session, then does what comes next. */
  function replace(then?: () => Promise<void>): void {
    const [old, before] = [session, changing];
    session = undefined;
    stale = false;
    const work = (async () => {
      await before;
      await old?.close();
      await then?.();
    })()
      .catch((error: unknown) => {
        if (!stopped) say("core", "reopen", `${error}; reload the page`);
      })
      .then(() => {
        if (changing === work) changing = undefined;
        changed();
      });
    changing = work;
    connection = "offline";
    changed();
  }

  // ---- The session --------------------------------------------------------------------

  async function begin(): Promise<void> {
    let made: Session | undefined;
    const own = (): boolean => session === made; // no word of one that is being closed
    made = await openSession(checked as Checked<string>, module, {
      show: ({ key }) => view.changed(key),
      status() {
        statusStale = true;
      },
      superseded({ instance: item, field, mine, winner }) {
        const lost = !item
          ? { kind: "sort", mine, winner }
          : field
            ? { kind: "field", item, field, mine, winner }
            : { kind: "removed", item };
        news.push(() => hub.tell("superseded", lost));
      },
      connection(now) {
        if (!own()) return;
        connection = now;
        changed();
      },
      say,
      settled: () => own() && settled(),
      stale(code, detail) {
        say("storage", code, detail);
        stale = true;
        settled();
      },
      stopped(why) {
        stopped = true;
        say("core", "stopped", `${why}: ${STOPPED}`);
      },
    });
    session = made;
    view.reset();
    statusStale = true;
    settled();
    alive();
    for (const edit of held.splice(0)) {
      try {
        write(edit);
      } catch (error) {
        say("core", "held", `an edit was refused: ${error}`);
      }
    }
    changed();
  }

  /** A problem that comes before anybody listens is kept for who listens first. */
  function say(kind: Problem["kind"], code: string, detail: string): void {
    const problem = { kind, code, detail };
    news.push(() => (unheard?.push(problem), hub.tell("problem", problem)));
    unheard?.splice(UNHEARD_MAX);
    changed();
  }

  /** One call of the engine, with all that it brought, is over. */
  function settled(): void {
    if (!session || depth > 0) return;
    if (statusStale) {
      statusStale = false;
      engineStatus = parsed<EngineStatus>((engine) => engine.status()) ?? engineStatus;
      if (engineStatus?.volatile === 0) session.unkept.clear();
      const said = ask((engine) => engine.dead()) ?? dead;
      if (said !== dead) {
        deadLetters = (JSON.parse(said) as Dead[]).map(letterOf<F>);
        untold.add("dead");
      }
      dead = said;
    }
    changed();
    if (stale && status.volatile === 0) replace(begin);
  }

  /** Shows the status as it is now, and tells of all that has changed. */
  function changed(): void {
    if (!engineStatus) return; // nobody has the list yet
    const old = status;
    const { phase, pending, volatile, receipts } = engineStatus;
    const waits = held.length;
    const said = new Map(Object.entries(receipts));
    let moved = false;
    for (const id of [...said.keys(), ...old.receipts.keys()]) {
      if (said.get(id) === old.receipts.get(id)) continue;
      moved = true;
      untold.add(`/${id}`);
    }
    const next: Status = {
      phase: stopped ? "stopped" : session && !closed ? phase : "offline",
      connection: stopped ? "offline" : connection,
      pending: pending + waits,
      volatile: volatile + waits,
      deadLetters: deadLetters.length,
      drafts: drafts.size,
      receipts: moved ? said : old.receipts,
      storage: session?.storage() ?? old.storage,
      safeToClose: volatile + waits + drafts.size === 0,
    };
    if ((Object.keys(next) as (keyof Status)[]).some((name) => next[name] !== old[name])) {
      status = next;
      untold.add("status");
    }
    if (checked.warnBeforeClose && next.safeToClose !== old.safeToClose)
      page.warn(!next.safeToClose);
    if (depth > 0) return;

    const names = [...untold];
    untold.clear();
    view.tell();
    names.forEach((name) => hub.tell(name));
    for (const tell of news.splice(0)) tell();
  }

  await begin();
  const unlisten = page.listen(onPage);

  const list: List<F> = {
    items: view.items,
    ids: view.ids,
    sort: view.sort,
    status: hub.readable("status", () => status),
    deadLetters: hub.readable("dead", () => deadLetters),
    item: view.item,
    receipt: (id) => hub.readable(`/${id}`, () => status.receipts.get(id)),
    add(imageId, data) {
      const id = newId();
      checkData(data, fields);
      return { id, written: write({ type: "ADD", instanceId: id, imageId, data: { ...data } }) };
    },
    update(id, data) {
      if (!checkData(data, fields)) fail("empty", "an update needs a field");
      return write({ type: "UPDATE_METADATA", instanceId: id, data: { ...data } });
    },
    remove: (id) => write({ type: "DELETE", instanceId: id }),
    setSort(sort) {
      if (sort !== "asc" && sort !== "desc") fail("sort", "asc or desc");
      return write({ type: "SORT_CHANGE", sort });
    },
    batch,
    retry: (letter) => onDead(letter, (engine) => engine.retry(letter)),
    discard: (letter) => void onDead(letter, (engine) => engine.discard(letter)),
    onSuperseded: (listener) => hub.on("superseded", listener),
    onProblem(listener) {
      unheard?.forEach(listener);
      unheard = undefined;
      return hub.on("problem", listener);
    },
    holdDraft(write) {
      const draft = (): void => write();
      drafts.add(draft);
      changed();
      return () => {
        if (drafts.delete(draft)) changed();
      };
    },
    async flush() {
      session?.ask();
      while (status.pending > 0) {
        if (closed || stopped) fail("flush", "closed first; the rest is stored");
        await new Promise<void>((look) => news.push(look)); // at the next change
      }
    },
    async close() {
      if (closed) return;
      writeDrafts();
      await changing; // held edits are written first
      closed = true;
      unlisten();
      page.warn(false);
      await session?.close();
      connection = "offline";
      changed();
    },
  };
  insides.set(list, {
    options: checked as Checked<string>,
    writeDrafts,
    session: async () => (await changing, session),
  });
  return list;
}

type Dead = { readonly operation: Record<string, unknown>; readonly code: string };
function letterOf<F extends string>({ operation, code }: Dead): DeadLetter<F> {
  const { id, type, instanceId: item, imageId, data, sort } = operation;
  return { id, type, code, item, imageId, data, sort } as DeadLetter<F>;
}
