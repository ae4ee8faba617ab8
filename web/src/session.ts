/**
 * session.ts - one life of the engine: storage read and writers adopted, the engine driven,
 * its events carried out. Over when the page closes, or when the ground moves under it (the
 * page slept in the back/forward cache, another page took its writers over, storage was
 * cleared): then the list begins another one from what is stored.
 */
import { Engine, type EngineEvent, type Now, type Outcome, type Transaction } from "./core.js";
import type { Clock, Page } from "./host.js";
import type { DiskStore, LocalStore } from "./storage.js";
import { Transport, type Connection, type TransportOptions } from "./transport.js";
import { LEASES, type Held, type Locks } from "./writers.js";

export type SessionOptions = Omit<TransportOptions, "random"> & {
  readonly module: WebAssembly.Module;
  readonly user: string;
  readonly clock: Clock;
  readonly page: Page;
  readonly local: LocalStore | undefined;
  readonly openDisk: () => Promise<DiskStore | undefined>;
  readonly locks: Locks;
  readonly random: (bytes: number) => Uint8Array;
};

/** What the list is told. */
export interface SessionHost {
  event(event: EngineEvent): void;
  connection(connection: Connection): void;
  problem(kind: "storage" | "connection" | "core", detail: string): void;
  /** All events of one call were told; whoever listens may be told now. */
  settled(): void;
  /** This life must end: begin another from what is stored. */
  stale(): void;
}

/** The problem that says that a heartbeat was not answered. */
const SILENT = "silent";
const WRITER = "writer/";
/** An entry is kept blindly, but for whose it is: its first member. */
const OWNER = /^(?:writer|lacking)\/(.+)$|^\{"writer":"([A-Za-z0-9._~-]{1,64})"/;

/** The writer that a record belongs to; "" = to nobody in particular. */
function ownerOf(key: string, text: string): string {
  const [, named, owner] = OWNER.exec(key.startsWith("op/") ? text : key) ?? [];
  return named ?? owner ?? "";
}

export const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=/g, "");

export class Session {
  readonly #options: SessionOptions;
  readonly #host: SessionHost;
  readonly #engine: Engine;
  readonly #disk: DiskStore | undefined;
  readonly #transport: Transport;
  readonly #held: Map<string, Held>;
  readonly #closing = new AbortController();
  /** What this page stored in `local`: put back when somebody clears it. */
  readonly #mine = new Map<string, string>();
  #last = 0; // monotonic time told last
  #sending = false; // a pump is due
  #timer = (): void => {};
  #commit: Promise<void> | undefined; // the transaction that is out
  #unwatch = (): void => {};
  #dead = false;

  private constructor(
    options: SessionOptions,
    host: SessionHost,
    engine: Engine,
    disk: DiskStore | undefined,
    held: Map<string, Held>,
  ) {
    this.#options = options;
    this.#host = host;
    this.#engine = engine;
    this.#disk = disk;
    this.#held = held;
    this.#transport = new Transport(
      { ...options, random: () => (options.random(1)[0] ?? 0) / 256 },
      {
        channel: (channel) => this.run((engine, now) => engine.channel(now, channel)),
        take: () => this.read((engine, now) => engine.take(now)),
        answer: (ref, http, body) => this.run((engine, now) => engine.answer(now, ref, http, body)),
        feed: (frame) => this.run((engine, now) => engine.feed(now, frame)),
        authorized: () => this.run((engine, now) => engine.authorized(now)),
        connection: (connection) => host.connection(connection),
        problem: (detail) => host.problem("connection", detail),
      },
    );
  }

  /** Reads what is stored, adopts every free writer, and takes up their work. */
  static async open(options: SessionOptions, host: SessionHost): Promise<Session> {
    const { local, locks, module, user, list, random } = options;
    const disk = await options.openDisk();
    const held = new Map<string, Held>();
    const others = new Set<string>();
    const fresh = `b-${base64url(random(18))}`;
    try {
      const lock = await locks.take(fresh); // before anybody can know of it
      if (lock) held.set(fresh, lock);
      const take = async (writer: string): Promise<void> => {
        const lock = await locks.take(writer);
        if (lock) held.set(writer, lock);
        else others.add(writer);
      };
      // Read again after locking: until then its page may have been writing.
      let stored = await readAll(local, disk);
      for (;;) {
        const found = new Set(
          [...stored.local, ...stored.disk].map(([key, text]) => ownerOf(key, text)),
        );
        const news = [...found].filter(
          (writer) => writer !== "" && !held.has(writer) && !others.has(writer),
        );
        if (news.length === 0) break;
        await Promise.all(news.map(take));
        stored = await readAll(local, disk);
      }

      const engine = await Engine.create(module, user, list, random(32));
      const session = new Session(options, host, engine, disk, held);
      for (const [key, text] of stored.local) {
        engine.load("local", key, text);
        if (held.has(ownerOf(key, text))) session.#mine.set(key, text);
      }
      for (const [key, text] of stored.disk) engine.load("disk", key, text);
      session.#start(fresh, others);
      return session;
    } catch (error) {
      held.forEach((lock) => lock.release());
      disk?.close();
      throw error;
    }
  }

  #start(fresh: string, others: Set<string>): void {
    const { local, page } = this.#options;
    this.run((engine, now) => {
      for (const writer of this.#held.keys()) if (writer !== fresh) engine.adopt(now, writer);
      engine.start(now, fresh, this.#disk !== undefined);
    });
    if (this.read((engine, now) => engine.status(now)).browserId !== fresh) {
      this.#held.get(fresh)?.release(); // an adopted one takes the edits
      this.#held.delete(fresh);
    }
    if (this.#disk)
      this.#disk.onlost = () =>
        this.#stale("storage", "this browser's storage was closed or cleared");
    this.#unwatch = local?.watch?.((key) => this.#storageChanged(key)) ?? this.#unwatch;
    this.run((engine, now) => engine.visible(now, page.visible()));
    others.forEach((writer) => void this.#await(writer));
    this.#transport.start();
  }

  // ---- The engine ---------------------------------------------------------------------

  /** Calls the engine and carries out what follows from it. */
  run<T>(call: (engine: Engine, now: Now) => T): T {
    if (this.#dead) return undefined as T; // a late answer to a session that is over
    try {
      const result = call(this.#engine, this.#now());
      this.#settle();
      return result;
    } catch (error) {
      this.#trapped(error);
      throw error;
    }
  }

  /** Asks the engine without consequences. */
  read<T>(call: (engine: Engine, now: Now) => T): T {
    return call(this.#engine, this.#now());
  }

  get over(): boolean {
    return this.#dead;
  }

  /** Whether every writer is still ours; if not, another life begins. */
  mine(): boolean {
    if (this.#dead) return false;
    for (const lock of this.#held.values()) {
      if (lock.held()) continue;
      this.#stale("storage", "another page took over while this one slept");
      return false;
    }
    return true;
  }

  begin(): void {
    this.run((engine) => engine.begin());
  }
  end(keep: boolean): void {
    this.run((engine, now) => engine.end(now, keep));
  }

  ask(): void {
    this.run((engine, now) => engine.ask(now, true));
  }
  /** Sends what is queued now, not at the end of this turn: the page may not have another. */
  push(): void {
    this.run((engine, now) => engine.ask(now, false));
    this.#pump();
  }
  online(): void {
    this.#transport.online();
  }
  offline(): void {
    this.#transport.offline();
  }
  visible(visible: boolean): void {
    this.run((engine, now) => engine.visible(now, visible));
    if (visible) {
      this.#transport.visible();
      this.ask();
    } else {
      this.push();
    }
  }
  #pump(): void {
    this.#sending = false;
    if (!this.#dead) this.#transport.pump();
  }

  /** No edit after it. Sends once more, stores what storage still takes, and frees the writers. */
  async close(): Promise<void> {
    if (this.#dead) return;
    this.push();
    this.#transport.stop();
    this.run((engine, now) => engine.channel(now, "offline")); // or it would want to send for ever
    this.#closing.abort();
    while (this.#commit) await this.#commit; // each may bring forth the next
    this.#end();
  }

  #end(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#transport.stop();
    this.#closing.abort();
    this.#timer();
    this.#unwatch();
    if (this.#disk) this.#disk.onlost = undefined;
    this.#disk?.close();
    this.#held.forEach((lock) => lock.release());
  }

  #now(): Now {
    const { clock } = this.#options;
    this.#last = Math.max(this.#last, Math.floor(clock.mono()));
    return { wall: Math.max(0, Math.floor(clock.wall())), mono: this.#last };
  }

  /** Carries out events until there are none, then arranges for what is due later. */
  #settle(): void {
    for (let event = this.#engine.event(); event; event = this.#engine.event())
      this.#carryOut(event);
    if (!this.#sending) {
      this.#sending = true; // once a turn: a loop of edits goes out together
      queueMicrotask(() => this.#sending && this.#pump());
    }
    this.#timer();
    const due = this.#engine.deadline();
    if (due !== Infinity) {
      this.#timer = this.#options.clock.after(due - this.#last, () =>
        this.run((engine, now) => engine.tick(now)),
      );
    }
    this.#host.settled();
  }

  #carryOut(event: EngineEvent): void {
    switch (event.kind) {
      case "keep":
        return this.#engine.kept(event.key, this.#keep(event.key, event.value));
      case "forget":
        this.#mine.delete(event.key);
        return this.#options.local?.remove(event.key);
      case "commit":
        this.#commit = this.#commitDisk(event.ticket, event.transaction);
        return;
      case "writer":
        return void this.#lock(event.key);
      case "reload":
        return void this.#reload();
      case "authorize":
        return this.#transport.authorize();
      case "problem":
        return event.key === SILENT ? this.#transport.silent() : this.#host.event(event);
      default:
        return this.#host.event(event);
    }
  }

  #trapped(error: unknown): void {
    if (this.#dead || !(error instanceof WebAssembly.RuntimeError)) return;
    this.#end();
    this.#host.problem(
      "core",
      `the core stopped on a mistake of its own (${error.message}): reload the page`,
    );
  }

  // ---- Storage ------------------------------------------------------------------------

  #keep(key: string, text: string): boolean {
    const { local } = this.#options;
    try {
      if (!local) return false;
      local.set(key, text);
      this.#mine.set(key, text);
      return true;
    } catch {
      return false; // full, or switched off: the engine says `volatile` until disk has it
    }
  }

  async #commitDisk(ticket: number, transaction: Transaction): Promise<void> {
    let done: { outcome: Outcome; cursor: number } = { outcome: "failed", cursor: 0 };
    try {
      if (this.#disk) done = await this.#disk.commit(transaction);
    } catch (error) {
      if (!this.#dead) this.#host.problem("storage", `IndexedDB refused: ${String(error)}`);
    }
    this.#commit = undefined;
    this.run((engine, now) => engine.committed(now, ticket, done.outcome, done.cursor));
  }

  async #reload(): Promise<void> {
    try {
      const records = (await this.#disk?.load()) ?? [];
      this.run((engine, now) => {
        for (const [key, text] of records) engine.load("disk", key, text);
        engine.reloaded(now);
      });
    } catch (error) {
      this.#stale("storage", `IndexedDB could not be read: ${String(error)}`);
    }
  }

  /** Another page wrote, or the user cleared what we keep. */
  #storageChanged(key: string | null): void {
    const { local } = this.#options;
    for (const [own, text] of this.#mine) {
      if ((key === null || key === own) && local?.get(own) === null) this.#keep(own, text);
    }
    if (!key?.startsWith(WRITER) || local?.get(key) === null) return;
    void this.#await(key.slice(WRITER.length));
  }

  #stale(kind: "storage", detail: string): void {
    if (this.#dead) return;
    this.#host.problem(kind, detail);
    this.#host.stale();
  }

  // ---- Writers ------------------------------------------------------------------------

  /** A new writer is ours: nobody else can know it yet, or has it by mistake. */
  async #lock(writer: string): Promise<void> {
    if (this.#held.has(writer)) return;
    const lock = await this.#options.locks.take(writer);
    if (this.#dead) lock?.release();
    else if (lock) this.#held.set(writer, lock);
    else this.#stale("storage", "another page took a new writer");
  }

  readonly #awaited = new Set<string>();

  /** Takes over another page's writer when that page is gone. */
  async #await(writer: string): Promise<void> {
    if (this.#held.has(writer) || this.#awaited.has(writer)) return;
    this.#awaited.add(writer);
    const { locks, local } = this.#options;
    try {
      const lock = await locks.wait(writer, this.#closing.signal);
      this.#awaited.delete(writer);
      if (this.#dead || this.#held.has(writer)) return lock.release();
      this.#held.set(writer, lock);
      const stored = await readAll(local, this.#disk);
      const own = ([key, text]: readonly [string, string]): boolean =>
        ownerOf(key, text) === writer;
      const kept = stored.local.filter(own);
      const onDisk = stored.disk.filter(own);
      this.run((engine, now) => {
        for (const [key, text] of kept) {
          engine.load("local", key, text);
          this.#mine.set(key, text);
        }
        for (const [key, text] of onDisk) engine.load("disk", key, text);
        engine.adopt(now, writer);
      });
    } catch {
      this.#awaited.delete(writer); // closing, or storage is gone: the next page adopts it
    }
  }
}

type Records = [key: string, text: string][];

async function readAll(
  local: LocalStore | undefined,
  disk: DiskStore | undefined,
): Promise<{ local: Records; disk: Records }> {
  const records = disk ? await disk.load() : [];
  const kept: Records = [];
  for (const key of local?.keys() ?? []) {
    const text = key.startsWith(LEASES) ? null : local?.get(key);
    if (text != null) kept.push([key, text]);
  }
  return { local: kept, disk: records };
}
