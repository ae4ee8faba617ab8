/**
 * fakes.ts - a browser and a server made of numbers: time that is told, storage that can be
 * full, cleared or shared by two tabs, and a server that speaks the protocol of
 * docs/PROTOCOL.md to requests and to sockets. Nothing here waits for real time.
 */
import { createHash } from "node:crypto";
import type { Clock, Page, PageEvent } from "../src/host.js";
import { decide, type Committed, type DiskStore, type LocalStore } from "../src/storage.js";
import type { Transaction } from "../src/core.js";
import type { OpenSocket, Socket } from "../src/transport.js";
import type { Held, Locks } from "../src/writers.js";
import { core } from "./core.js";
import { openList, type List, type Options } from "../src/index.js";

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class FakeClock implements Clock {
  now = 1_790_000_000_000;
  #timers = new Set<{ at: number; due: () => void }>();
  wall = (): number => this.now;
  mono = (): number => this.now - 1_780_000_000_000;
  after(ms: number, due: () => void): () => void {
    const timer = { at: this.now + Math.max(0, Math.ceil(ms)), due };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }
  /** Time passes, one timer after the other. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await settle();
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      this.#timers.delete(next);
      this.now = Math.max(this.now, next.at);
      next.due();
      await settle();
    }
    this.now = end;
  }
}

export class FakePage implements Page {
  isVisible = true;
  isOnline = true;
  warning = false;
  #listeners = new Set<(event: PageEvent) => void>();
  visible = (): boolean => this.isVisible;
  online = (): boolean => this.isOnline;
  listen(told: (event: PageEvent) => void): () => void {
    this.#listeners.add(told);
    return () => void this.#listeners.delete(told);
  }
  warn(active: boolean): void {
    this.warning = active;
  }
  say(event: PageEvent): void {
    if (event === "visible" || event === "hidden") this.isVisible = event === "visible";
    if (event === "online" || event === "offline") this.isOnline = event === "online";
    [...this.#listeners].forEach((told) => told(event));
  }
}

/** What one browser profile keeps: both storages and the locks, shared by its tabs. */
export class FakeBrowser {
  readonly local = new Map<string, string>();
  disk = new Map<string, string>();
  /** Set: the storage refuses every write, as a full one does. */
  full = false;
  diskFull = false;
  commits: Transaction[] = [];
  /** While set, transactions wait for it. */
  gate: Promise<void> | undefined;
  #watchers = new Set<{ tab: object; changed: (key: string | null) => void }>();
  #stores = new Set<DiskStore>();
  #locks = new Map<string, { holder: object; waiting: { tab: object; turn: () => void }[] }>();

  localStore(tab: object): LocalStore {
    const tell = (key: string): void => {
      for (const { tab: other, changed } of this.#watchers)
        if (other !== tab) setImmediate(changed, key);
    };
    return {
      keys: () => [...this.local.keys()],
      get: (key) => this.local.get(key) ?? null,
      set: (key, text) => {
        if (this.full) throw new DOMException("full", "QuotaExceededError");
        this.local.set(key, text);
        tell(key);
      },
      remove: (key) => {
        if (this.local.delete(key)) tell(key);
      },
      watch: (changed) => {
        const watcher = { tab, changed };
        this.#watchers.add(watcher);
        return () => void this.#watchers.delete(watcher);
      },
    };
  }

  diskStore(): DiskStore {
    let open = true;
    let last: Promise<unknown> = Promise.resolve();
    const records = this.disk; // a deleted database is another map
    const store: DiskStore = {
      load: async () => {
        if (!open) throw new DOMException("closed", "InvalidStateError");
        return [...records];
      },
      commit: (transaction) => {
        const run = async (): Promise<Committed> => {
          await this.gate;
          if (!open) throw new DOMException("closed", "InvalidStateError");
          if (this.diskFull) throw new DOMException("full", "QuotaExceededError");
          this.commits.push(transaction);
          const decided = decide(transaction, records.get("state"));
          for (const [verb, key, text] of decided.writes) {
            if (verb === "put") records.set(key, text);
            else if (verb === "del") records.delete(key);
            else
              for (const other of [...records.keys()])
                if (other.startsWith(key)) records.delete(other);
          }
          return decided;
        };
        last = last.then(run, run);
        return last as Promise<Committed>;
      },
      close: () => {
        open = false;
        this.#stores.delete(store);
      },
    };
    this.#stores.add(store);
    return store;
  }

  /** The user clears this site's data while pages are open. */
  clear(): void {
    this.local.clear();
    for (const { changed } of [...this.#watchers]) changed(null);
    this.loseDisk();
  }

  locks(tab: object): Locks {
    const hold = (name: string): Held => {
      const lock = this.#locks.get(name) ?? { holder: tab, waiting: [] };
      lock.holder = tab;
      this.#locks.set(name, lock);
      return { held: () => true, release: () => lock.holder === tab && this.#release(name) };
    };
    return {
      take: async (name) => (this.#locks.has(name) ? undefined : hold(name)),
      wait: (name, signal) =>
        new Promise((resolve, reject) => {
          const lock = this.#locks.get(name);
          if (!lock) return resolve(hold(name));
          const waiter = { tab, turn: () => resolve(hold(name)) };
          lock.waiting.push(waiter);
          signal.addEventListener("abort", () => {
            lock.waiting = lock.waiting.filter((other) => other !== waiter);
            reject(new DOMException("aborted", "AbortError"));
          });
        }),
    };
  }
  #release(name: string): void {
    const next = this.#locks.get(name)?.waiting.shift();
    if (next) next.turn();
    else this.#locks.delete(name);
  }

  get locked(): string[] {
    return [...this.#locks.keys()];
  }

  /** The database goes, and all in it; localStorage stays. */
  loseDisk(): void {
    this.disk = new Map();
    for (const store of [...this.#stores]) {
      store.close();
      store.onlost?.();
    }
  }

  /** The tab is gone without a word: its locks are free, it writes no more. */
  kill(tab: object): void {
    for (const lock of this.#locks.values())
      lock.waiting = lock.waiting.filter((waiter) => waiter.tab !== tab);
    for (const [name, { holder }] of [...this.#locks]) if (holder === tab) this.#release(name);
    for (const watcher of this.#watchers) if (watcher.tab === tab) this.#watchers.delete(watcher);
  }
}

type Op = Record<string, unknown> & {
  id: string;
  browserId: string;
  version: number;
  timestamp: number;
  logical?: number;
};
type Row = { seq: number; op: Op };

/** A server with one list, as far as a browser can tell. */
export class FakeServer {
  readonly rows: Row[] = [];
  readonly marks = new Map<number, string>([[0, ""]]);
  readonly requests: {
    method: string;
    path: string;
    query: string;
    body: string;
    headers: Headers;
    keepalive: boolean;
  }[] = [];
  readonly frames: { type: string; [member: string]: unknown }[] = [];
  protocols: string[][] = [];
  /** Nothing answers. */
  down = false;
  /** WebSockets do not open: "fail" at once, "hang" for ever. */
  sockets: "open" | "fail" | "hang" = "open";
  /** Waiting pulls are cut off after so many ms, as some proxies do. */
  cutAfterMs = Infinity;
  /** Answer this status to requests (401, 503, ...). */
  status = 200;
  /** Lines are cut: sockets stay open, nothing arrives. */
  silent = false;
  /** Ids of operations to refuse for good. */
  reject = (_op: Op): string | undefined => undefined;
  #writers = new Map<string, number>();
  #sockets = new Set<FakeSocket>();
  #wake = new Set<() => void>();

  constructor(
    readonly clock: FakeClock,
    readonly user = "ann",
  ) {}

  get head(): number {
    return this.rows.length;
  }

  /** What the list's items are, as far as the tests care: the last value of each field. */
  field(id: string, name: string): unknown {
    const values = this.rows.flatMap(({ op }) => {
      const data = op["data"] as Record<string, unknown> | undefined;
      return op["instanceId"] === id && data && name in data ? [data[name]] : [];
    });
    return values.at(-1);
  }

  /** Somebody else writes. */
  write(...edits: Record<string, unknown>[]): void {
    const version = this.#writers.get("other") ?? 0;
    const ops = edits.map((edit, i) => ({
      id: `other-${version + i + 1}`,
      ...edit,
      timestamp: this.clock.now,
      browserId: "other",
      version: version + i + 1,
    }));
    this.save({ operations: ops as Op[] }, undefined);
  }

  save(
    request: { operations: Op[]; since?: number },
    from: FakeSocket | undefined,
  ): Record<string, unknown> {
    const first = this.head;
    const acks: Record<string, unknown>[] = [];
    let stop: Record<string, unknown> | undefined;
    for (const op of request.operations) {
      const known = this.rows.find((row) => row.op.id === op.id);
      const { id, timestamp, logical = 0 } = op;
      if (known) {
        acks.push({
          id,
          status: "duplicate",
          seq: known.seq,
          timestamp: known.op.timestamp,
          logical: known.op.logical ?? 0,
        });
        continue;
      }
      const last = this.#writers.get(op.browserId) ?? 0;
      if (op.version !== last + 1) {
        stop = op.version <= last ? { code: "fork" } : { code: "gap", expected: last + 1 };
        break;
      }
      this.#writers.set(op.browserId, op.version);
      const code = this.reject(op);
      if (code) {
        acks.push({ id, status: "rejected", code });
        continue;
      }
      const seq = this.head + 1;
      this.rows.push({ seq, op: { ...op, seq } });
      acks.push({ id, status: "ok", seq, timestamp, logical });
    }
    if (this.head > first) {
      const before = this.marks.get(first) ?? "";
      const batch = JSON.stringify(this.rows.slice(first));
      this.marks.set(this.head, createHash("sha256").update(before).update(batch).digest("hex"));
      for (const socket of this.#sockets) if (socket !== from) socket.push();
      [...this.#wake].forEach((wake) => wake());
    }
    const acked = new Set(acks.map(({ id }) => id));
    const since = request.since ?? from?.cursor;
    const operations =
      since === undefined ? [] : this.after(since).filter((op) => !acked.has(op.id));
    if (from?.cursor !== undefined) from.cursor = this.head;
    return { success: true, acks, ...(stop && { stop }), operations, ...this.place() };
  }

  after(since: number): Op[] {
    return this.rows.slice(since).map(({ op }) => op);
  }

  place(): Record<string, unknown> {
    const head = this.head;
    return {
      user: this.user,
      version: head,
      mark: this.marks.get(head),
      head,
      serverTime: this.clock.now,
    };
  }

  // ---- Requests -----------------------------------------------------------------------

  readonly fetch = async (
    input: string | URL | Request,
    init: RequestInit = {},
  ): Promise<Response> => {
    const url = new URL(String(input));
    const { method = "GET", body, signal, keepalive = false } = init;
    const text = body ? new TextDecoder().decode(body as Uint8Array) : "";
    const headers = new Headers(init.headers);
    this.requests.push({
      method,
      path: url.pathname,
      query: url.search,
      body: text,
      headers,
      keepalive,
    });
    if (this.down) throw new TypeError("Failed to fetch");
    if (this.silent)
      return new Promise((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    if (this.status !== 200)
      return this.#answer({ code: "no", detail: "refused by the test", status: this.status });
    if (method === "POST")
      return this.#answer(this.save(JSON.parse(text) as { operations: Op[] }, undefined));

    const since = Number(url.searchParams.get("since"));
    const wait = Number(url.searchParams.get("wait") ?? 0) * 1000;
    if (wait > 0 && since >= this.head)
      await this.#waitFor(Math.min(wait, this.cutAfterMs), signal ?? undefined);
    if (wait > this.cutAfterMs && since >= this.head) throw new TypeError("cut off");
    return this.#answer({ operations: this.after(since), ...this.place() });
  };

  #answer(body: Record<string, unknown>): Response {
    return new Response(JSON.stringify(body), {
      status: this.status,
      headers: { "content-type": "application/json" },
    });
  }

  #waitFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.#wake.delete(done);
        stop();
        resolve();
      };
      const stop = this.clock.after(ms, done);
      this.#wake.add(done);
      signal?.addEventListener("abort", () => {
        this.#wake.delete(done);
        stop();
        reject(signal.reason as Error);
      });
    });
  }

  // ---- Sockets ------------------------------------------------------------------------

  readonly socket: OpenSocket = (url, protocols) => {
    if (!url.startsWith("ws://server.example/")) throw new Error(`a socket to ${url}`);
    this.protocols.push(protocols);
    const socket = new FakeSocket(this);
    setImmediate(() => {
      if (this.down || this.sockets === "fail") return socket.cut(1006);
      if (this.sockets === "hang") return;
      this.#sockets.add(socket);
      socket.onopen?.({} as never);
    });
    return socket;
  };

  get open(): number {
    return this.#sockets.size;
  }

  /** Tells every socket that the state's digest is this. */
  digest(digest: string): void {
    for (const socket of this.#sockets)
      socket.tell({ type: "DIGEST", version: this.head, format: 1, digest });
  }

  forget(socket: FakeSocket): void {
    this.#sockets.delete(socket);
  }

  /** The server goes: every socket closes. */
  stop(code = 1006): void {
    for (const socket of [...this.#sockets]) socket.cut(code);
  }
}

class FakeSocket implements Socket {
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  cursor: number | undefined;
  #list: unknown;

  constructor(readonly server: FakeServer) {}

  close(): void {
    this.server.forget(this);
  }

  cut(code: number): void {
    this.server.forget(this);
    this.onclose?.({ code } as never);
  }

  send(text: string): void {
    const frame = JSON.parse(text) as FakeServer["frames"][number];
    this.server.frames.push(frame);
    if (this.server.silent) return;
    if (frame.type === "SUBSCRIBE") {
      this.cursor = frame["since"] as number;
      this.#list = frame["list"];
      this.#tell({
        type: "SUBSCRIBED",
        list: frame["list"],
        ...this.server.place(),
        version: this.cursor,
        mark: frame["mark"] ?? this.server.marks.get(this.cursor),
      });
      this.push();
    } else if (frame.type === "SAVE") {
      const answer = this.server.save(frame as unknown as { operations: Op[] }, this);
      this.#tell({ type: "SAVED", list: frame["list"], ref: frame["ref"], ...answer });
    } else if (frame.type === "SEEN") {
      this.#tell({ type: "SEEN", list: frame["list"], version: 0 }); // the heartbeat's answer
    }
  }

  push(): void {
    if (this.cursor === undefined || this.cursor >= this.server.head || this.server.silent) return;
    const from = this.cursor;
    this.cursor = this.server.head;
    this.#tell({
      type: "OPERATIONS",
      list: this.#list,
      from: from + 1,
      ...this.server.place(),
      operations: this.server.after(from),
    });
  }

  tell(frame: Record<string, unknown>): void {
    this.#tell({ list: this.#list, ...frame });
  }

  #tell(frame: Record<string, unknown>): void {
    const text = JSON.stringify(frame);
    setImmediate(() => this.onmessage?.({ data: text } as never));
  }
}

export type Fields = "photoNumber" | "description";

/** One tab of a browser on one server. */
export class Tab {
  readonly page = new FakePage();
  list!: List<Fields>;

  constructor(
    readonly browser: FakeBrowser,
    readonly server: FakeServer,
    public more: Partial<Options<Fields>> = {},
  ) {}

  static async open(
    browser: FakeBrowser,
    server: FakeServer,
    more: Partial<Options<Fields>> = {},
  ): Promise<Tab> {
    const tab = new Tab(browser, server, more);
    await tab.start();
    return tab;
  }

  async start(): Promise<void> {
    const { browser, server, page } = this;
    const { clock } = server;
    this.list = await openList<Fields>({
      url: "http://server.example",
      user: server.user,
      list: "photos",
      core: core(),
      clock: { ...clock, after: (ms, due) => clock.after(ms, () => this.alive && due()) },
      page,
      socket: (url, protocols) => this.#mortal(server.socket(url, protocols)),
      fetch: (input, init) => this.#orNever(server.fetch(input, init)),
      storage: {
        local: () => browser.localStore(this),
        disk: async () => this.#mortalDisk(browser.diskStore()),
        locks: () => browser.locks(this),
        persist: async () => true,
      },
      ...this.more,
    });
    await settle();
  }

  alive = true;
  #sockets = new Set<Socket>();

  /** The tab ends as a killed process does: nothing of it runs on. */
  kill(): void {
    this.alive = false;
    this.#sockets.forEach((socket) => socket.close());
    this.browser.kill(this);
  }
  #mortal(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket;
  }
  async #orNever<T>(promise: Promise<T>): Promise<T> {
    const [result] = await Promise.allSettled([promise]);
    if (!this.alive) return new Promise(() => {});
    if (result.status === "rejected") throw result.reason;
    return result.value;
  }
  #mortalDisk(disk: DiskStore): DiskStore {
    const commit = disk.commit;
    disk.commit = (transaction) =>
      this.#orNever(this.alive ? commit(transaction) : new Promise<never>(() => {}));
    return disk;
  }

  get status(): ReturnType<List<Fields>["status"]["snapshot"]> {
    return this.list.status.snapshot();
  }
  field(id: string, name: Fields): string | undefined {
    return this.list.item(id).snapshot()?.[name];
  }
}
