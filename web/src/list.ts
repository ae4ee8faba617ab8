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
import { GONE, loadCore, OK, type EngineEvent, type EngineStatus } from "./core.js";
import { checkData, checkOptions, type Checked } from "./check.js";
import type { PageEvent } from "./host.js";
import { Cell, Listeners, type Readable } from "./readable.js";
import { Session } from "./session.js";
import type {
  Connection,
  Data,
  DeadLetter,
  Direction,
  Id,
  Item,
  List,
  Options,
  Problem,
  Receipt,
  Status,
  Superseded,
  Written,
} from "./types.js";
import { deadLetterOf, receiptsOf, supersededOf } from "./told.js";
import { View } from "./view.js";

type Edit =
  | { type: "ADD"; instanceId: Id; imageId: string; data?: Data<string> }
  | { type: "UPDATE_METADATA"; instanceId: Id; data: Data<string> }
  | { type: "DELETE"; instanceId: Id }
  | { type: "SORT_CHANGE"; sort: Direction };

/** What is kept of the problems that nobody has listened for yet. */
const UNHEARD_MAX = 20;
const noReceipts: ReadonlyMap<Id, Receipt> = new Map();

/** Opens a list: from what this browser has stored, network or not. */
export async function openList<F extends string>(options: Options<F>): Promise<List<F>> {
  const list = new TidemarkList<F>(checkOptions(options));
  await list.open();
  return list;
}

class TidemarkList<F extends string> implements List<F> {
  readonly #options: Checked<F>;
  readonly #view = new View<F>();
  readonly #status = new Cell<Status>({
    phase: "offline",
    connection: "offline",
    pending: 0,
    volatile: 0,
    deadLetters: 0,
    drafts: 0,
    receipts: noReceipts,
    safeToClose: true,
  });
  readonly #deadLetters = new Cell<readonly DeadLetter<F>[]>(Object.freeze([]));
  readonly #superseded = new Listeners<Superseded<F>>();
  readonly #problems = new Listeners<Problem>();
  readonly #unheard: Problem[] = []; // said before anybody listened: while opening, say
  readonly #ended = new Listeners(); // those who wait in flush
  readonly #drafts = new Set<() => void>();
  /** Said when the change that brought them is whole. */
  #news: (() => void)[] = [];

  #session: Session | undefined;
  /** Work on the session that is under way; writes wait in `held`. */
  #changing: Promise<void> | undefined;
  #stale = false; // the session must be replaced as soon as nothing is volatile
  #away = false; // the page left; it may come back
  #closed = false;
  #held: Edit[][] = [];
  #engine: EngineStatus | undefined; // its last status
  #statusStale = false;
  #deadStale = false;
  #connection: Connection = "offline";
  /** Open batches: the ids each has touched, and how many held edits there were before it. */
  #batches: { touched: Set<Id | "">; held: number }[] = [];
  #holding: Edit[] = []; // edits of the outermost batch, if it is held
  #asked = false; // for persistent storage
  #unlisten = (): void => {};

  readonly items: Readable<readonly Item<F>[]> = this.#view.items;
  readonly ids: Readable<readonly Id[]> = this.#view.ids;
  readonly sort: Readable<Direction> = this.#view.sort;
  readonly status: Readable<Status> = this.#status;
  readonly deadLetters: Readable<readonly DeadLetter<F>[]> = this.#deadLetters;
  readonly onSuperseded = this.#superseded.add;

  constructor(options: Checked<F>) {
    this.#options = options;
  }

  async open(): Promise<void> {
    await this.#begin();
    this.#unlisten = this.#options.page.listen((event) => this.#pageSays(event));
  }

  item(id: Id): Readable<Item<F> | undefined> {
    return this.#view.item(id);
  }

  onProblem(listener: (problem: Problem) => void): () => void {
    const out = this.#problems.add(listener);
    this.#unheard.splice(0).forEach((problem) => this.#problems.tell(problem));
    return out;
  }

  receipt(id: Id): Readable<Receipt | undefined> {
    return {
      snapshot: () => this.#status.snapshot().receipts.get(id),
      subscribe: this.#status.subscribe,
    };
  }

  // ---- Writing ------------------------------------------------------------------------

  add(imageId: string, data?: Data<F>): { id: Id; written: Written } {
    const id = this.#options.newId();
    const fields = data && checkData(data, this.#options.fields);
    const edit: Edit = { type: "ADD", instanceId: id, imageId, ...(fields && { data: fields }) };
    return { id, written: this.#write(edit, id) };
  }

  update(id: Id, data: Data<F>): Written {
    const fields = checkData(data, this.#options.fields);
    if (Object.keys(fields).length === 0)
      throw new TypeError("tidemark: update needs at least one field");
    return this.#write({ type: "UPDATE_METADATA", instanceId: id, data: fields }, id);
  }

  remove(id: Id): Written {
    return this.#write({ type: "DELETE", instanceId: id }, id);
  }

  setSort(direction: Direction): Written {
    if (direction !== "asc" && direction !== "desc") {
      throw new TypeError(
        `tidemark: the sort direction is "asc" or "desc", not ${JSON.stringify(direction)}`,
      );
    }
    return this.#write({ type: "SORT_CHANGE", sort: direction }, "");
  }

  batch(write: () => void): Written {
    const session = this.#usable();
    if (this.#batches.length === 0) this.#view.mark();
    const batch = { touched: new Set<Id | "">(), held: this.#holding.length };
    session?.begin();
    this.#batches.push(batch);
    let keep = false;
    try {
      const result = write() as unknown;
      if (typeof (result as { then?: unknown } | undefined)?.then === "function") {
        throw new TypeError(
          "tidemark: a batch is written at once; do not pass it an async function",
        );
      }
      keep = true;
    } finally {
      this.#batches.pop();
      batch.touched.forEach((id) => this.#touch(id));
      if (!keep) this.#holding.length = batch.held;
      if (session && !session.over) session.end(keep);
      else if (keep && this.#batches.length === 0) this.#hold(this.#holding.splice(0));
    }
    if (!session) return "volatile";
    return this.#batches.length > 0 ? "ok" : this.#written(session);
  }

  retry(deadLetter: string): Written {
    return this.#onDead(deadLetter, (session) =>
      session.run((engine, now) => engine.retry(now, deadLetter)),
    );
  }

  discard(deadLetter: string): void {
    this.#onDead(deadLetter, (session) =>
      session.run((engine, now) => engine.discard(now, deadLetter)),
    );
  }

  #onDead(id: string, call: (session: Session) => number): Written {
    const session = this.#usable();
    if (!session || !this.#deadLetters.snapshot().some((letter) => letter.id === id)) {
      throw new RangeError(`tidemark: no dead letter ${JSON.stringify(id)}`);
    }
    const status = call(session);
    if (status !== OK && status !== GONE) throw new Error(`tidemark: the core refused (${status})`);
    return status === GONE ? "gone" : this.#written(session);
  }

  /** What became of the edit; the first of them asks for storage that the browser keeps. */
  #written(session: Session): Written {
    if (!this.#asked) {
      this.#asked = true;
      this.#options.persist().catch(() => {});
    }
    return session.read((engine) => engine.written());
  }

  #write(edit: Edit, id: Id | ""): Written {
    const session = this.#usable();
    const made = edit.type === "ADD" || edit.type === "SORT_CHANGE"; // needs no item
    if (!session) {
      if (!made && !this.#view.get(id)) return "gone";
      if (this.#batches.length > 0) this.#holding.push(edit);
      else this.#hold([edit]);
      return "volatile";
    }
    // What is not shown is removed, or was never here: no text of it can be meant.
    if (!made && session.read((engine, now) => engine.item(now, id)) === "") return "gone";
    const { status, text } = session.run((engine, now) => engine.edit(now, JSON.stringify(edit)));
    if (status === GONE) return "gone";
    if (status !== OK) throw new RangeError(`tidemark: ${text || `refused (${status})`}`);
    if (this.#batches.length === 0) return this.#written(session);
    this.#touch(id);
    return "ok";
  }

  /** A change that is told only when the batch ends, but seen by who reads. */
  #touch(id: Id | ""): void {
    this.#view.changed(id);
    this.#batches.at(-1)?.touched.add(id);
  }

  /** The session that takes an edit; none while it is being replaced. */
  #usable(): Session | undefined {
    if (this.#closed) throw new Error("tidemark: this list is closed");
    if (this.#session?.over) throw new Error("tidemark: the core has stopped; reload the page");
    if (this.#batches.length === 0) {
      if (this.#away) this.#comeBack();
      this.#session?.mine(); // may find that it is not, and begin another
    }
    return this.#session;
  }

  #hold(edits: Edit[]): void {
    if (edits.length === 0) return;
    this.#held.push(edits);
    this.#showStatus();
    this.#tell();
  }

  async flush(): Promise<void> {
    this.#session?.ask();
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const { pending } = this.#status.snapshot();
        if (pending > 0 && !this.#closed) return;
        ways.forEach((out) => out());
        if (pending === 0) resolve();
        else reject(new Error("tidemark: the list was closed before the server held every edit"));
      };
      const ways = [this.#status.subscribe(look), this.#ended.add(look)];
      look();
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#writeDrafts();
    await this.#changing; // held edits are written first
    this.#closed = true;
    this.#unlisten();
    this.#options.page.warn(false);
    await this.#session?.close();
    this.#connection = "offline";
    this.#showStatus();
    this.#tell();
    this.#ended.tell();
  }

  // ---- Drafts -------------------------------------------------------------------------

  holdDraft(write: () => void): () => void {
    const draft = (): void => write();
    const changed = (): void => {
      this.#showStatus();
      this.#tell();
    };
    this.#drafts.add(draft);
    changed();
    return () => {
      if (this.#drafts.delete(draft)) changed();
    };
  }

  #writeDrafts(): void {
    [...this.#drafts].forEach((write) => write());
  }

  // ---- The page -----------------------------------------------------------------------

  #pageSays(event: PageEvent): void {
    switch (event) {
      case "hidden":
        this.#writeDrafts();
        return this.#session?.visible(false);
      case "visible":
        this.#comeBack();
        return this.#session?.visible(true);
      case "online":
        return this.#session?.online();
      case "offline":
        return this.#session?.offline();
      case "leave":
        return this.#leave();
      case "return":
        return this.#comeBack();
    }
  }

  /** The page may never run again, or sleep while other pages take its writers over. */
  #leave(): void {
    this.#writeDrafts();
    this.#session?.push();
    if (this.#away || this.#changing || !this.#session || this.#status.snapshot().volatile > 0)
      return;
    this.#away = true;
    this.#replace(async () => {});
  }

  #comeBack(): void {
    if (!this.#away) return;
    this.#away = false;
    this.#replace(() => this.#begin());
  }

  /** Ends the session, then does what comes next. */
  #replace(then: () => Promise<void>): void {
    const old = this.#session;
    this.#session = undefined;
    const before = this.#changing;
    const changing = (async () => {
      await before;
      await old?.close();
      await then();
    })().catch((error: unknown) => {
      this.#say("core", `the list could not be opened again: ${String(error)}`);
    });
    this.#changing = changing;
    void changing.then(() => {
      if (this.#changing === changing) this.#changing = undefined;
    });
    this.#connection = "offline";
    this.#showStatus();
    this.#tell();
  }

  // ---- The session --------------------------------------------------------------------

  async #begin(): Promise<void> {
    const options = this.#options;
    this.#stale = false;
    let session: Session | undefined;
    const own = (): boolean => this.#session === session; // no word of one that is being closed
    session = await Session.open(
      { ...options, module: await loadCore(options.core) },
      {
        event: (event) => this.#eventOf(event),
        connection: (connection) => {
          if (!own()) return;
          this.#connection = connection;
          this.#showStatus();
          this.#tell();
        },
        problem: (kind, detail) => {
          this.#say(kind, detail);
          this.#tell();
        },
        settled: () => own() && this.#settled(),
        stale: () => {
          this.#stale = true;
          this.#settled();
        },
      },
    );
    this.#session = session;
    this.#view.reset(session);
    this.#statusStale = this.#deadStale = true;
    this.#settled();
    const held = this.#held.splice(0);
    held.forEach((edits) => this.#writeHeld(edits));
    this.#showStatus();
    this.#tell();
  }

  #writeHeld(edits: Edit[]): void {
    try {
      this.batch(() =>
        edits.forEach((edit) => this.#write(edit, "instanceId" in edit ? edit.instanceId : "")),
      );
    } catch (error) {
      this.#say(
        "core",
        `an edit made while the list was opened anew was refused: ${String(error)}`,
      );
    }
  }

  #eventOf(event: EngineEvent): void {
    switch (event.kind) {
      case "show":
        return this.#view.changed(event.key);
      case "dead":
        this.#deadStale = true;
        this.#statusStale = true;
        return;
      case "status":
      case "receipt":
        this.#statusStale = true;
        return;
      case "superseded": {
        const superseded = supersededOf<F>(event);
        return void this.#news.push(() => this.#superseded.tell(superseded));
      }
      case "damage":
        return this.#say(
          "damage",
          `the stored record ${event.key} could not be read: ${event.value}`,
        );
      case "diverged":
        return this.#say("diverged", event.value);
      case "problem":
        return this.#say("server", event.value || event.key, event.key || event.value);
    }
  }

  #say(kind: Problem["kind"], detail: string, code: string = kind): void {
    const problem = Object.freeze({ kind, code, detail });
    this.#news.push(() => {
      if (this.#problems.size > 0) this.#problems.tell(problem);
      else if (this.#unheard.length < UNHEARD_MAX) this.#unheard.push(problem);
    });
  }

  /** One call of the engine, with all that it brought, is over. */
  #settled(): void {
    const session = this.#session;
    if (!session || this.#batches.length > 0) return;
    if (this.#statusStale) {
      this.#statusStale = false;
      const old = this.#engine;
      this.#engine = session.read((engine, now) => engine.status(now));
      this.#deadStale ||= old?.dead !== this.#engine.dead;
      this.#showStatus();
    }
    if (this.#deadStale) {
      this.#deadStale = false;
      this.#deadLetters.put(
        Object.freeze(session.read((engine) => engine.dead()).map(deadLetterOf<F>)),
      );
    }
    this.#tell();
    if (this.#stale && this.#session === session && this.#status.snapshot().volatile === 0) {
      this.#stale = false;
      this.#replace(() => this.#begin());
    }
  }

  /** A status that says the same is the same. */
  #showStatus(): void {
    const old = this.#status.snapshot();
    const held = this.#held.reduce((sum, edits) => sum + edits.length, 0);
    const {
      phase = "offline",
      pending = 0,
      volatile = 0,
      dead = 0,
      receipts = {},
    } = this.#engine ?? {};
    const next: Status = {
      phase: this.#session && !this.#closed ? phase : "offline",
      connection: this.#connection,
      pending: pending + held,
      volatile: volatile + held,
      deadLetters: dead,
      drafts: this.#drafts.size,
      receipts: receiptsOf(receipts, old.receipts),
      safeToClose: volatile + held + this.#drafts.size === 0,
    };
    if ((Object.keys(next) as (keyof Status)[]).every((name) => next[name] === old[name])) return;
    this.#status.put(Object.freeze(next));
    if (next.safeToClose !== old.safeToClose && this.#options.warnBeforeClose)
      this.#options.page.warn(!next.safeToClose);
  }

  #tell(): void {
    this.#view.tell();
    this.#status.tell();
    this.#deadLetters.tell();
    for (const say of this.#news.splice(0)) say();
  }
}
