/**
 * core.ts - the engine of core.wasm: one function for each call of its door
 * (src/client/door.h has the contract; a test compares the two).
 *
 * The engine never calls out: it is told and asked. Texts go in through the page that
 * tm_door_in lends, and come out as a span that is copied here before the next call, since
 * wasm memory moves when it grows. A trap (our own mistake, caught by an assertion, or no
 * memory) comes out as WebAssembly.RuntimeError; the engine must not be called again.
 */
import { fail } from "./errors.js";
import type { Clock } from "./host.js";

/** tm_status, as far as a host tells them apart. */
export const OK = 0;
export const GONE = -11;

// The engine's numbers, in its order; on this side they are words.
export const channels: readonly Connection[] = ["offline", "poll", "longpoll", "push"];
export const SAVE = 1;
export const PULL = 2;
export const outcomes = ["committed", "refused", "superseded", "failed"];
export const written: readonly Written[] = ["ok", "volatile", "gone"];
export const LOCAL = 0;
export const DISK = 1;
/** For `start`: there is a disk; localStorage was not readable, though it may be there. */
export const START_DISK = 1;
export const START_NO_LOCAL = 2;
export const ASK_PUSH = 1;
export const ASK_PULL = 2;

/**
 * How the server is reached now: `push` is an open WebSocket, `longpoll` requests of which
 * one always waits, `poll` a request now and then, `offline` none (yet, or at present).
 */
export type Connection = "offline" | "poll" | "longpoll" | "push";
/**
 * What became of an edit:
 *
 * - `ok`: kept; it will reach the server, whatever happens to this page.
 * - `volatile`: this browser's storage refuses; it is shown and sent, but warn the user
 *   before they leave.
 * - `gone`: the item was removed, here or elsewhere; nothing was written.
 */
export type Written = "ok" | "volatile" | "gone";
/**
 * How far an edit has come: in memory only (`volatile`), in localStorage (`kept`: survives
 * the tab), in IndexedDB (`disk`: survives the browser), in the server's store
 * (`accepted`), shown by another browser (`seen`); or refused for good (`rejected`).
 */
export type Receipt = "volatile" | "kept" | "disk" | "accepted" | "seen" | "rejected";

/** One write of a {@link Transaction}: `clear` removes every key that begins with `prefix`. */
export type Write =
  | readonly ["put", key: string, text: string]
  | readonly ["del", key: string]
  | readonly ["clear", prefix: string];

/** What one disk transaction does; {@link decide} has the rule of the guard. */
export type Transaction = {
  /** Compared with the stored record `state`; null: nothing is guarded. */
  readonly guard: readonly [generation: number, cursor: number, mark: string] | null;
  /** Done only if the guard exceeds what is stored, and continues it. */
  readonly guarded: readonly Write[];
  readonly always: readonly Write[];
};

/** An event's members; those that its kind does not have are absent. */
export type EngineEvent = {
  readonly key: string;
  readonly value: string;
  readonly ticket: number;
  readonly instance: string;
  readonly field: string;
  readonly mine: string | null;
  readonly winner: string | null;
};

/** What is to be done about each kind of event, in the order of tm_event_kind. */
export type EventTable = {
  readonly [
    kind in
      | "keep"
      | "forget"
      | "commit"
      | "writer"
      | "reload"
      | "show"
      | "status"
      | "receipt"
      | "superseded"
      | "dead"
      | "authorize"
      | "damage"
      | "diverged"
      | "problem"
  ]: (event: EngineEvent) => void;
};

export type Send = {
  /** SAVE, PULL, or another frame of the WebSocket. */
  readonly kind: number;
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

type Text = string | Uint8Array;

/**
 * The calls of the door. Here a text stands for its length, and what every call would repeat
 * is left out: the engine's number, and the two times behind it.
 */
export interface Calls {
  load(place: number, key: Text, value: Text): number;
  adopt(browser: Text): number;
  start(fresh: Text, places: number): number;
  reloaded(): number;
  edit(edit: Text): number;
  begin(): number;
  end(keep: boolean): number;
  written(): number;
  kept(key: Text, kept: boolean): number;
  committed(ticket: bigint, outcome: number, cursor: bigint): number;
  channel(channel: number): number;
  visible(visible: boolean): number;
  ask(asks: number): number;
  take(): number;
  ref(): bigint;
  timeout(): number;
  answer(ref: bigint, http: number, body: Text): number;
  feed(frame: Text): number;
  authorized(): number;
  deadline(): bigint;
  tick(): number;
  event(): number;
  item(id: Text): number;
  order(): number;
  sort(): number;
  status(): number;
  dead(): number;
  retry(id: Text): number;
  discard(id: Text): number;
  confirmed(): number;
  cursor(): bigint;
}

/** What of the door is not like these. */
type Door = {
  readonly memory: WebAssembly.Memory;
  tm_door_in(len: number): number;
  tm_door_out(): number;
  tm_door_out_len(): number;
  tm_door_new(user_len: number, list_len: number, manual: number): number;
};

/** Each has an instance of the core of its own, and goes with it. */
export type Engine = Calls & {
  /** What the last call gave, lent until the next one. */
  bytes(): Uint8Array<ArrayBuffer>;
  text(): string;
};

/** Where core.wasm comes from: its address, or the compiled module. */
export type CoreSource = string | URL | WebAssembly.Module;

/** The compiled core. */
export async function loadCore(
  source: CoreSource = new URL("./core.wasm", import.meta.url),
): Promise<WebAssembly.Module> {
  const given: unknown = source; // a Module has no members, so every type looks like one
  if (given instanceof WebAssembly.Module) return given;
  const answer = await fetch(source as URL);
  if (!answer.ok) fail("core", `core.wasm is not at ${source} (${answer.status})`);
  return WebAssembly.compile(await answer.arrayBuffer());
}

export const encoder = new TextEncoder();
export const decoder = new TextDecoder();

export async function createEngine(
  module: WebAssembly.Module,
  user: string,
  list: string,
  seed: Uint8Array,
  clock: Pick<Clock, "wall" | "mono">, // the one makes stamps, the other windows
): Promise<Engine> {
  const { exports } = await WebAssembly.instantiate(module);
  const door = exports as unknown as Door;
  const view = (at: number, len: number): Uint8Array<ArrayBuffer> =>
    new Uint8Array(door.memory.buffer as ArrayBuffer, at >>> 0, len);

  /** Lays texts one behind the other where the next call reads them; each becomes its length. */
  function lay(args: readonly unknown[]): unknown[] {
    const given = args.map((arg) => (typeof arg === "string" ? encoder.encode(arg) : arg));
    const texts = given.filter((arg) => arg instanceof Uint8Array);
    const room = texts.reduce((sum, { length }) => sum + length, 0);
    let page = view(door.tm_door_in(room + 1), room);
    for (const text of texts) {
      page.set(text);
      page = page.subarray(text.length);
    }
    return given.map((arg) => (arg instanceof Uint8Array ? arg.length : arg));
  }

  const [userLen, listLen] = lay([user, list, seed]) as [number, number];
  const number = door.tm_door_new(userLen, listLen, 0);
  const bytes = (): Uint8Array<ArrayBuffer> => view(door.tm_door_out(), door.tm_door_out_len());
  const engine: Record<string, unknown> = { bytes, text: () => decoder.decode(bytes()) };
  for (const [name, exported] of Object.entries(exports)) {
    const call = exported as (...args: unknown[]) => number | bigint;
    engine[name.slice(8)] = (...args: unknown[]) => {
      // A call that takes two more than it was given takes the times.
      const times = call.length > args.length + 1 ? [clock.wall(), clock.mono()] : [];
      return call(number, ...times.map(Math.floor).map(BigInt), ...lay(args));
    };
  }
  return engine as unknown as Engine;
}

/** What to send now; undefined = nothing. */
export function takeSend(engine: Engine): Send | undefined {
  const kind = engine.take();
  if (kind === 0) return undefined;
  const bytes = engine.bytes().slice(); // the engine may use the room again
  return { kind, bytes, ref: engine.ref(), timeout: engine.timeout() };
}

/** Tells the table of all events until there are none. */
export function takeEvents(engine: Engine, table: EventTable): void {
  const handlers = Object.values(table);
  for (let kind = engine.event(); kind > 0; kind = engine.event()) {
    // A KEEP comes as two lengths, key and text: it is too frequent for JSON in JSON.
    handlers[kind - 1]?.(kind === 1 ? keepOf(engine.bytes()) : JSON.parse(engine.text()));
  }
}

function keepOf(bytes: Uint8Array): EngineEvent {
  const value = 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return {
    key: decoder.decode(bytes.subarray(8, value)),
    value: decoder.decode(bytes.subarray(value)),
  } as EngineEvent;
}
