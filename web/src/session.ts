/**
 * session.ts - one life of the engine: storage read and writers adopted, the engine driven,
 * its events carried out. Over when the page closes, or when the ground moves under it (the
 * page slept in the back/forward cache, another page took its writers over, storage was
 * cleared): then the list begins another one from what is stored.
 */
import {
  ASK_PULL,
  ASK_PUSH,
  channels,
  createEngine,
  DISK,
  START_DISK,
  START_NO_LOCAL,
  LOCAL,
  outcomes,
  takeEvents,
  type Connection,
  type Engine,
  type EventTable,
  type Transaction,
} from "./core.js";
import type { Checked } from "./check.js";
import { fail, STOPPED } from "./errors.js";
import type { DiskStore, LocalStore } from "./storage.js";
import { makeTimer, type PageEvent } from "./host.js";
import { makeTransport } from "./transport.js";
import type { Problem, Status, StorageState } from "./types.js";
import { LEASES, type Held } from "./writers.js";

/** What the list is told. */
export type SessionHost = Pick<EventTable, "show" | "status" | "superseded"> & {
  connection(connection: Connection): void;
  say(kind: Problem["kind"], code: string, detail: string): void;
  /** All events of one call were told; whoever listens may be told now. */
  settled(): void;
  /** This life must end: begin another from what is stored. */
  stale(code: string, detail: string): void;
  /** The engine must not be called again, nor may there be another life in this page. */
  stopped(why: string): void;
};

export interface Session {
  /** Calls the engine and carries out what follows from it; undefined when it is over. */
  run<T>(call: (engine: Engine) => T): T | undefined;
  /** Asks the engine, without consequences; undefined when it has stopped. */
  read<T>(call: (engine: Engine) => T): T | undefined;
  /** Finds out whether every writer is still ours; if not, another life begins. */
  look(): void;
  /** Ours as soon as nobody has it: what is stored under it is taken over. */
  adopt(writer: string): Promise<void>;
  ask(): void;
  page(event: PageEvent): void;
  /** Sends once more, stores what storage still takes, and frees the writers. No edit after it. */
  close(): Promise<void>;
  /** Records that `local` did not take; whoever sees that disk has all empties it. */
  readonly unkept: Map<string, string>;
  storage(): Status["storage"];
}

const NOT_THEIRS = "the token is another user's; sign in again";
/** In a record's key and text. An entry is kept blindly, but for whose it is: its first member. */
const OWNER = /^(?:writer\/|lacking\/|op\/\S+ \{"writer":")([\w.~-]{1,64})[" ]/;

/** The writer that a record belongs to; "" = to nobody in particular. */
const ownerOf = ([, key, text]: StoredRecord): string => OWNER.exec(`${key} ${text}`)?.[1] ?? "";

/** Reads what is stored, adopts every free writer, and takes up their work. */
export async function openSession(
  options: Checked<string>,
  module: WebAssembly.Module,
  host: SessionHost,
): Promise<Session> {
  const { local, locks, clock, page, random } = options;
  /** The writers there are: ours by these locks, or other pages', which are waited for. */
  const writers = new Map<string, Held | undefined>();
  /** What this page stored in `local`: put back when somebody clears it. */
  const mine = new Map<string, string>();
  const unkept = new Map<string, string>();
  const closing = new AbortController();
  let over = false;
  let trapped = false;
  let sending = false; // a pump is due
  const timer = makeTimer(clock);
  let committing: Promise<void> | undefined; // the transaction that is out
  let reloading: Promise<void> | undefined; // C is being read again: nothing is adopted meanwhile
  let unwatch: (() => void) | undefined;

  const disk = await options.openDisk();
  let state: Status["storage"] = { local: local ? "ok" : "none", disk: disk ? "ok" : "none" };
  const place = (where: keyof typeof state, is: StorageState): void => {
    if (state[where] === is) return;
    state = { ...state, [where]: is };
    host.status(undefined as never);
  };

  const free = (): void => {
    disk?.close();
    writers.forEach((lock) => lock?.release());
  };

  let engine: Engine;
  let stored: StoredRecord[];
  try {
    for (;;) {
      stored = await readAll(local, disk);
      const found = new Set(stored.map(ownerOf));
      const news = [...found].filter((name) => name && !writers.has(name));
      if (news.length === 0) break;
      // And read again: until it is locked, its page may be writing.
      await Promise.all(news.map(async (name) => writers.set(name, await locks.take(name))));
    }
    engine = await createEngine(module, options.user, options.list, random(32), clock);
  } catch (error) {
    free();
    throw error;
  }

  // ---- The engine ---------------------------------------------------------------------

  function read<T>(call: (engine: Engine) => T): T | undefined {
    if (trapped) return undefined;
    try {
      return call(engine);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      trapped = true;
      end();
      host.stopped(error.message);
      return undefined;
    }
  }

  function run<T>(call: (engine: Engine) => T): T | undefined {
    if (over) return undefined; // a late answer to a session that is over
    const result = read(call);
    read(settle);
    return result;
  }

  /** Carries out events until there are none, then arranges for what is due later. */
  function settle(): void {
    takeEvents(engine, table);
    if (!sending) {
      sending = true; // once a turn: a loop of edits goes out together
      queueMicrotask(pump);
    }
    const due = Number(engine.deadline()); // unsigned, but results of wasm are signed: -1 = never
    timer(due - clock.mono(), due < 0 ? undefined : () => run((e) => e.tick()));
    host.settled();
  }

  /** In the order of tm_event_kind. */
  const table: EventTable = {
    keep: ({ key, value }) => engine.kept(key, keep(key, value)),
    forget({ key }) {
      mine.delete(key);
      local?.remove(key);
    },
    commit({ ticket, value }) {
      committing = commit(ticket, value as unknown as Transaction);
    },
    writer: ({ key }) => void lock(key),
    reload() {
      reloading = reload();
    },
    show: host.show,
    status: host.status,
    receipt: host.status,
    superseded: host.superseded,
    dead: host.status,
    authorize: () => transport.authorize(),
    damage: ({ key, value }) => host.say("damage", "damage", `${key} is ${value}`),
    diverged: ({ value }) => host.say("diverged", "diverged", value),
    problem({ key, value }) {
      if (key === "silent") transport.wake(true);
      else host.say("server", key || value, key === "user" ? NOT_THEIRS : value || key);
    },
  };

  const transport = makeTransport(options, {
    run,
    read,
    connection: host.connection,
    problem: (code, detail) => host.say("connection", code, detail),
  });

  function pump(): void {
    sending = false;
    if (!over) transport.pump();
  }

  function end(): void {
    if (over) return;
    over = true;
    transport.stop();
    closing.abort();
    timer();
    unwatch?.();
    free();
  }

  // ---- Storage ------------------------------------------------------------------------

  function keep(key: string, text: string): boolean {
    try {
      local!.set(key, text);
      mine.set(key, text);
      place("local", "ok");
      return true;
    } catch {
      // none, full, or switched off: the engine says `volatile` until disk has it
      unkept.set(key, text);
      if (local) place("local", "refuses");
      return false;
    }
  }

  async function commit(ticket: number, transaction: Transaction): Promise<void> {
    let done = { outcome: "failed", cursor: 0 };
    try {
      if (disk) {
        done = await disk.commit(transaction);
        place("disk", "ok");
      }
    } catch (error) {
      place("disk", "refuses");
      if (!over) host.say("storage", "disk", `${error}; free some space`);
    }
    committing = undefined;
    run((e) => e.committed(BigInt(ticket), outcomes.indexOf(done.outcome), BigInt(done.cursor)));
  }

  /** Gives the engine what is stored: all of it, or one writer's. */
  function load(records: StoredRecord[], writer?: string): void {
    for (const record of records) {
      const owner = ownerOf(record);
      if (writer !== undefined && owner !== writer) continue;
      engine.load(...record);
      const [place, key, text] = record;
      if (place === LOCAL && writers.get(owner)) mine.set(key, text);
    }
  }

  async function reload(): Promise<void> {
    try {
      const records = (await disk?.load()) ?? [];
      run((e) => {
        records.forEach((record) => e.load(DISK, ...record));
        e.reloaded();
      });
    } catch (error) {
      stale("disk", `${error}`);
    } finally {
      reloading = undefined;
    }
  }

  /** Another page wrote, or the user cleared what we keep. */
  function changed(key: string | null): void {
    for (const [own, text] of mine)
      if ((key === null || key === own) && local?.get(own) === null) keep(own, text);
    const text = key && local?.get(key);
    const writer = text && ownerOf([LOCAL, key, text]);
    if (writer && !writers.has(writer)) void adopt(writer);
  }

  function stale(code: string, detail: string): void {
    if (!over) host.stale(code, `${detail}; begun again`);
  }

  // ---- Writers ------------------------------------------------------------------------

  /** A new writer is ours: nobody else can know it yet, or has it by mistake. */
  async function lock(writer: string): Promise<void> {
    if (writers.has(writer)) return;
    const taken = await locks.take(writer);
    if (over) taken?.release();
    else if (taken) writers.set(writer, taken);
    else stale("writer", "another page took over");
  }

  async function adopt(writer: string): Promise<void> {
    writers.set(writer, undefined);
    try {
      const taken = await locks.wait(writer, closing.signal);
      if (over) return taken.release();
      writers.set(writer, taken);
      let stored: StoredRecord[];
      do {
        await reloading;
        stored = await readAll(local, disk);
      } while (reloading);
      run((e) => {
        load(stored, writer);
        e.adopt(writer);
      });
    } catch {
      // closing, or storage is gone: the next page adopts it
    }
  }

  // ---- Beginning ----------------------------------------------------------------------

  if (disk) disk.onlost = () => stale("lost", "storage was closed or cleared");
  unwatch = local?.watch?.(changed);
  try {
    run((e) => {
      load(stored);
      writers.forEach((lock, writer) => lock && e.adopt(writer));
      e.start("", (disk ? START_DISK : 0) | (local ? 0 : START_NO_LOCAL));
      e.visible(page.visible());
    });
  } catch (error) {
    end();
    throw error;
  }
  if (over) fail("stopped", STOPPED);
  writers.forEach((lock, writer) => lock ?? adopt(writer));
  transport.start();

  const ask = (asks: number): unknown => run((e) => e.ask(asks));
  /** Sends what is queued now, not at the end of this turn: the page may not have another. */
  const push = (): void => {
    ask(ASK_PUSH);
    pump();
  };
  return {
    run,
    read,
    look() {
      if ([...writers.values()].some((lock) => lock?.held() === false))
        stale("writer", "another page took over");
    },
    adopt,
    ask: () => void ask(ASK_PUSH | ASK_PULL),
    page(event) {
      const visible = event === "visible";
      if (visible || event === "hidden") run((e) => e.visible(visible));
      if (event === "hidden" || event === "leave") push();
      if (event === "offline") transport.lose();
      if (visible || event === "online") transport.wake(!visible);
      if (visible) ask(ASK_PUSH | ASK_PULL);
    },
    async close() {
      if (over) return;
      push();
      transport.stop();
      run((e) => e.channel(channels.indexOf("offline"))); // or it would want to send for ever
      closing.abort();
      while (committing) await committing; // each may bring forth the next
      end();
    },
    unkept,
    storage: () => state,
  };
}

type StoredRecord = readonly [place: number, key: string, text: string];

/** All that is stored, in both places. */
export async function readAll(
  local: LocalStore | undefined,
  disk: DiskStore | undefined,
): Promise<StoredRecord[]> {
  const onDisk = (await disk?.load()) ?? [];
  const kept = (local?.keys() ?? []).flatMap((key): StoredRecord[] => {
    const text = key.startsWith(LEASES) ? null : local?.get(key);
    return text == null ? [] : [[LOCAL, key, text]];
  });
  return [...kept, ...onDisk.map(([key, text]) => [DISK, key, text] as const)];
}
