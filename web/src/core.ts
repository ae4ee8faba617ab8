/**
 * core.ts - the engine of core.wasm, one typed method for each call of its door
 * (src/client/door.h has the contract; a test compares the two).
 *
 * The engine never calls out: it is told and asked. Texts go in through the page that
 * tm_door_in lends, and come out as a span that is copied here before the next call, since
 * wasm memory moves when it grows. A trap (our own mistake, caught by an assertion) comes
 * out as WebAssembly.RuntimeError; the engine must not be called again after one.
 */

/** The clock the engine is told: wall time makes stamps, monotonic time windows. */
export type Now = { readonly wall: number; readonly mono: number };

/** tm_status, as far as a host tells them apart. */
export const OK = 0;
export const GONE = -11;
const NOMEM = -5;

// The engine's numbers, in its order; on this side they are words.
const places = ["local", "disk"] as const;
const channels = ["offline", "poll", "longpoll", "push"] as const;
const sends = ["none", "save", "pull", "frame"] as const;
const outcomes = ["committed", "refused", "superseded", "failed"] as const;
const written = ["ok", "volatile", "gone"] as const;
const receipts = ["volatile", "kept", "disk", "accepted", "seen", "rejected"] as const;
const kinds = [
  "none",
  "keep",
  "forget",
  "commit",
  "writer",
  "reload",
  "show",
  "status",
  "receipt",
  "superseded",
  "dead",
  "authorize",
  "damage",
  "diverged",
  "problem",
] as const;
const ASK_PUSH = 1;
const ASK_PULL = 2;

export type Place = (typeof places)[number];
export type Channel = (typeof channels)[number];
export type Outcome = (typeof outcomes)[number];
export type Written = (typeof written)[number];
export type Receipt = (typeof receipts)[number];

export type Write =
  | readonly ["put", key: string, text: string]
  | readonly ["del", key: string]
  | readonly ["clear", prefix: string];

/** What one disk transaction does; storage.ts has the rule of the guard. */
export type Transaction = {
  readonly guard: readonly [generation: number, cursor: number] | null;
  readonly guarded: readonly Write[];
  readonly always: readonly Write[];
};

/** The members that a kind does not have are "" (0, null). */
export type EngineEvent = {
  readonly kind: (typeof kinds)[number];
  readonly key: string;
  readonly value: string;
  readonly ticket: number;
  readonly transaction: Transaction;
  readonly receipt: Receipt;
  readonly instance: string;
  readonly field: string;
  readonly mine: string | null;
  readonly winner: string | null;
};

export type Send = {
  readonly kind: "save" | "pull" | "frame";
  readonly ref: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly timeout: number;
};

/** tm_engine_status. */
export type EngineStatus = {
  readonly phase: "offline" | "syncing" | "live";
  readonly pending: number;
  readonly volatile: number;
  readonly dead: number;
  readonly browserId: string;
  readonly receipts: { readonly [instance: string]: Receipt };
};

/** What core.wasm exports. Times are unsigned 64-bit: BigInt on this side. */
export interface Door {
  readonly memory: WebAssembly.Memory;
  tm_door_in(len: number): number;
  tm_door_out(): number;
  tm_door_out_len(): number;
  tm_door_new(user_len: number, list_len: number, manual: number): number;
  tm_door_free(engine: number): void;
  tm_door_load(engine: number, place: number, key_len: number, value_len: number): number;
  tm_door_adopt(engine: number, wall_ms: bigint, mono_ms: bigint, browser_len: number): number;
  tm_door_start(
    engine: number,
    wall_ms: bigint,
    mono_ms: bigint,
    fresh_len: number,
    disk: number,
  ): number;
  tm_door_reloaded(engine: number, wall_ms: bigint, mono_ms: bigint): number;
  tm_door_edit(engine: number, wall_ms: bigint, mono_ms: bigint, edit_len: number): number;
  tm_door_begin(engine: number): number;
  tm_door_end(engine: number, wall_ms: bigint, mono_ms: bigint, keep: number): number;
  tm_door_written(engine: number): number;
  tm_door_kept(engine: number, key_len: number, kept: number): number;
  tm_door_committed(
    engine: number,
    wall_ms: bigint,
    mono_ms: bigint,
    ticket: bigint,
    outcome: number,
    cursor: bigint,
  ): number;
  tm_door_channel(engine: number, wall_ms: bigint, mono_ms: bigint, channel: number): number;
  tm_door_visible(engine: number, wall_ms: bigint, mono_ms: bigint, visible: number): number;
  tm_door_ask(engine: number, wall_ms: bigint, mono_ms: bigint, asks: number): number;
  tm_door_take(engine: number, wall_ms: bigint, mono_ms: bigint): number;
  tm_door_ref(engine: number): bigint;
  tm_door_timeout(engine: number): number;
  tm_door_answer(
    engine: number,
    wall_ms: bigint,
    mono_ms: bigint,
    ref: bigint,
    http: number,
    body_len: number,
  ): number;
  tm_door_feed(engine: number, wall_ms: bigint, mono_ms: bigint, frame_len: number): number;
  tm_door_authorized(engine: number, wall_ms: bigint, mono_ms: bigint): number;
  tm_door_deadline(engine: number): bigint;
  tm_door_tick(engine: number, wall_ms: bigint, mono_ms: bigint): number;
  tm_door_event(engine: number): number;
  tm_door_item(engine: number, wall_ms: bigint, mono_ms: bigint, id_len: number): number;
  tm_door_order(engine: number, wall_ms: bigint, mono_ms: bigint): number;
  tm_door_sort(engine: number, wall_ms: bigint, mono_ms: bigint): number;
  tm_door_status(engine: number, wall_ms: bigint, mono_ms: bigint): number;
  tm_door_dead(engine: number): number;
  tm_door_retry(engine: number, wall_ms: bigint, mono_ms: bigint, id_len: number): number;
  tm_door_discard(engine: number, wall_ms: bigint, mono_ms: bigint, id_len: number): number;
  tm_door_confirmed(engine: number): number;
  tm_door_cursor(engine: number): bigint;
}

/** Where core.wasm comes from: its address, its bytes, or the compiled module. */
export type CoreSource = string | URL | Response | BufferSource | WebAssembly.Module;

async function compile(source: CoreSource): Promise<WebAssembly.Module> {
  const given: unknown = source; // a Module has no members, so every type looks like one
  if (given instanceof WebAssembly.Module) return given;
  const found: unknown =
    typeof given === "string" || given instanceof URL ? await fetch(given) : given;
  if (!(found instanceof Response)) return WebAssembly.compile(found as BufferSource);
  if (!found.ok)
    throw new Error(`tidemark: core.wasm was not served (${found.status} at ${found.url})`);
  // Compiling while it arrives wants the right Content-Type; a plain file server may not know it.
  return found.headers.get("content-type")?.startsWith("application/wasm")
    ? WebAssembly.compileStreaming(found)
    : WebAssembly.compile(await found.arrayBuffer());
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** The compiled core; an address is fetched and compiled once in a page. */
export function loadCore(
  source: CoreSource = new URL("./core.wasm", import.meta.url),
): Promise<WebAssembly.Module> {
  if (typeof source !== "string" && !(source instanceof URL)) return compile(source);
  const address = String(source);
  let module = modules.get(address);
  if (!module) {
    module = compile(address);
    module.catch(() => modules.delete(address)); // a later open tries again
    modules.set(address, module);
  }
  return module;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Longer texts are encoded apart: room for the worst case would be thrice their length. */
const LONG = 1 << 16;

/** Each has an instance of the core of its own, and goes with it. */
export class Engine {
  readonly #door: Door;
  readonly #number: number;

  private constructor(door: Door, user: string, list: string, seed: Uint8Array) {
    this.#door = door;
    const [userLen = 0, listLen = 0] = this.#in(user, list, seed);
    this.#number = this.#must(door.tm_door_new(userLen, listLen, 0));
  }

  static async create(
    module: WebAssembly.Module,
    user: string,
    list: string,
    seed: Uint8Array,
  ): Promise<Engine> {
    const { exports } = await WebAssembly.instantiate(module);
    return new Engine(exports as unknown as Door, user, list, seed);
  }

  load(place: Place, key: string, text: string): void {
    const [keyLen = 0, textLen = 0] = this.#in(key, text);
    this.#must(this.#door.tm_door_load(this.#number, places.indexOf(place), keyLen, textLen));
  }
  adopt(now: Now, browser: string): void {
    const [len = 0] = this.#in(browser);
    this.#must(this.#door.tm_door_adopt(this.#number, ...times(now), len));
  }
  start(now: Now, fresh: string, disk: boolean): void {
    const [len = 0] = this.#in(fresh);
    this.#must(this.#door.tm_door_start(this.#number, ...times(now), len, Number(disk)));
  }
  reloaded(now: Now): void {
    this.#must(this.#door.tm_door_reloaded(this.#number, ...times(now)));
  }

  /** `text` is the instance's id, or on `range` and `corrupt` what is wrong. */
  edit(now: Now, edit: string): { status: number; text: string } {
    const [len = 0] = this.#in(edit);
    const status = this.#door.tm_door_edit(this.#number, ...times(now), len);
    return { status, text: this.#out() };
  }
  begin(): void {
    this.#must(this.#door.tm_door_begin(this.#number));
  }
  end(now: Now, keep: boolean): void {
    this.#must(this.#door.tm_door_end(this.#number, ...times(now), Number(keep)));
  }
  written(): Written {
    return written[this.#door.tm_door_written(this.#number)] ?? "volatile";
  }

  kept(key: string, kept: boolean): void {
    const [len = 0] = this.#in(key);
    this.#door.tm_door_kept(this.#number, len, Number(kept));
  }
  committed(now: Now, ticket: number, outcome: Outcome, cursor: number): void {
    this.#door.tm_door_committed(
      this.#number,
      ...times(now),
      BigInt(ticket),
      outcomes.indexOf(outcome),
      BigInt(cursor),
    );
  }

  channel(now: Now, channel: Channel): void {
    this.#door.tm_door_channel(this.#number, ...times(now), channels.indexOf(channel));
  }
  visible(now: Now, visible: boolean): void {
    this.#door.tm_door_visible(this.#number, ...times(now), Number(visible));
  }
  /** Push what is queued, and pull too, as soon as may be. */
  ask(now: Now, pull: boolean): void {
    this.#door.tm_door_ask(this.#number, ...times(now), pull ? ASK_PUSH | ASK_PULL : ASK_PUSH);
  }
  /** What to send now; undefined = nothing. */
  take(now: Now): Send | undefined {
    const kind = sends[this.#door.tm_door_take(this.#number, ...times(now))];
    if (kind === undefined || kind === "none") return undefined;
    const bytes = this.#outBytes().slice(); // the engine may use the room again
    const ref = BigInt.asUintN(64, this.#door.tm_door_ref(this.#number));
    return { kind, ref, bytes, timeout: this.#door.tm_door_timeout(this.#number) >>> 0 };
  }
  answer(now: Now, ref: bigint, http: number, body: Uint8Array): void {
    const [len = 0] = this.#in(body);
    this.#door.tm_door_answer(this.#number, ...times(now), ref, http, len);
  }
  feed(now: Now, frame: string): void {
    const [len = 0] = this.#in(frame);
    this.#door.tm_door_feed(this.#number, ...times(now), len);
  }
  authorized(now: Now): void {
    this.#door.tm_door_authorized(this.#number, ...times(now));
  }
  /** Monotonic ms at which to call tick; Infinity = never. */
  deadline(): number {
    const at = BigInt.asUintN(64, this.#door.tm_door_deadline(this.#number));
    return at > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(at);
  }
  tick(now: Now): void {
    this.#door.tm_door_tick(this.#number, ...times(now));
  }

  /** The next event; undefined = none. */
  event(): EngineEvent | undefined {
    const kind = kinds[this.#door.tm_door_event(this.#number)];
    if (kind === undefined || kind === "none") return undefined;
    const event = {
      kind,
      key: "",
      value: "",
      ticket: 0,
      instance: "",
      field: "",
      mine: null,
      winner: null,
    };
    if (kind === "keep") return { ...event, ...this.#record() } as unknown as EngineEvent;
    const said = JSON.parse(this.#out() || "{}") as Record<string, unknown>;
    return {
      ...event,
      ...said,
      transaction: said["value"],
      receipt: receipts[said["receipt"] as number] ?? said["receipt"],
    } as unknown as EngineEvent;
  }

  /** What is shown of an item, as JSON; "" = it is not shown. */
  item(now: Now, id: string): string {
    const [len = 0] = this.#in(id);
    this.#must(this.#door.tm_door_item(this.#number, ...times(now), len));
    return this.#out();
  }
  order(now: Now): string[] {
    this.#must(this.#door.tm_door_order(this.#number, ...times(now)));
    return JSON.parse(this.#out()) as string[];
  }
  sort(now: Now): "asc" | "desc" {
    this.#must(this.#door.tm_door_sort(this.#number, ...times(now)));
    return this.#out() as "asc" | "desc";
  }
  status(now: Now): EngineStatus {
    this.#must(this.#door.tm_door_status(this.#number, ...times(now)));
    return JSON.parse(this.#out()) as EngineStatus;
  }
  dead(): { operation: Record<string, unknown>; code: string }[] {
    this.#must(this.#door.tm_door_dead(this.#number));
    return JSON.parse(this.#out()) as { operation: Record<string, unknown>; code: string }[];
  }
  retry(now: Now, id: string): number {
    const [len = 0] = this.#in(id);
    return this.#door.tm_door_retry(this.#number, ...times(now), len);
  }
  discard(now: Now, id: string): number {
    const [len = 0] = this.#in(id);
    return this.#door.tm_door_discard(this.#number, ...times(now), len);
  }
  /** The confirmed state's canonical bytes and where it stands; for comparison. */
  confirmed(): { state: string; cursor: number } {
    this.#must(this.#door.tm_door_confirmed(this.#number));
    const state = this.#out();
    return { state, cursor: Number(BigInt.asUintN(64, this.#door.tm_door_cursor(this.#number))) };
  }

  /** Lays texts one behind the other where the next call reads them; gives their lengths. */
  #in(...texts: (string | Uint8Array)[]): number[] {
    let room = 1;
    for (let i = 0; i < texts.length; i++) {
      let text = texts[i] ?? "";
      if (typeof text === "string" && text.length > LONG) texts[i] = text = encoder.encode(text);
      room += typeof text === "string" ? text.length * 3 : text.length;
    }
    const at = this.#door.tm_door_in(room) >>> 0;
    if (at === 0) throw new Error("tidemark: the core is out of memory");
    const page = new Uint8Array(this.#door.memory.buffer, at, room);
    let end = 0;
    return texts.map((text) => {
      let len = text.length;
      if (typeof text === "string") len = encoder.encodeInto(text, page.subarray(end)).written;
      else page.set(text, end);
      end += len;
      return len;
    });
  }
  #outBytes(): Uint8Array<ArrayBuffer> {
    const at = this.#door.tm_door_out() >>> 0;
    return new Uint8Array(
      this.#door.memory.buffer as ArrayBuffer,
      at,
      this.#door.tm_door_out_len() >>> 0,
    );
  }
  #out(): string {
    return decoder.decode(this.#outBytes());
  }
  /** A KEEP comes as two lengths, key and text: it is too frequent for JSON in JSON. */
  #record(): { key: string; value: string } {
    const bytes = this.#outBytes();
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const key = 8 + view.getUint32(0, true);
    const end = key + view.getUint32(4, true);
    return {
      key: decoder.decode(bytes.subarray(8, key)),
      value: decoder.decode(bytes.subarray(key, end)),
    };
  }
  #must(status: number): number {
    if (status >= 0) return status;
    throw new Error(
      status === NOMEM
        ? "tidemark: the core is out of memory"
        : `tidemark: the core refused a call (${status})`,
    );
  }
}

const times = ({ wall, mono }: Now): [bigint, bigint] => [BigInt(wall), BigInt(mono)];
