// engine.mjs - core.wasm as browsers use it (src/client/door.h): one engine, told of a
// subscription and then fed frames; the transactions it wants on disk are taken out and
// answered, what it would show is taken out.
import { BATCH, START, id, instance, operations } from "./work.mjs";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function fail(why) {
  throw new Error(why);
}

/** An engine that has just subscribed to a list of which it knows nothing. */
async function engineOpen(module, head) {
  const { exports: door } = await WebAssembly.instantiate(module);
  const now = [BigInt(START), 1000n];
  const put = (...texts) => {
    const all = texts.map((text) => (typeof text === "string" ? encoder.encode(text) : text));
    const len = all.reduce((sum, { length }) => sum + length, 0);
    let at = door.tm_door_in(len + 1) >>> 0;
    if (at === 0) fail("no memory in core.wasm");
    const memory = new Uint8Array(door.memory.buffer);
    for (const bytes of all) {
      memory.set(bytes, at);
      at += bytes.length;
    }
    return all.map(({ length }) => length);
  };
  const must = (status) => (status < 0 ? fail(`core.wasm answered ${status}`) : status);
  const text = () =>
    decoder.decode(
      new Uint8Array(door.memory.buffer, door.tm_door_out() >>> 0, door.tm_door_out_len()),
    );
  const [user, list] = put("bench", "l-0", new Uint8Array(32).fill(7));
  const engine = must(door.tm_door_new(user, list, 0));
  const [fresh] = put("chrome-bench");
  must(door.tm_door_start(engine, ...now, fresh, 1));
  const events = () => {
    for (let kind = door.tm_door_event(engine); kind > 0; kind = door.tm_door_event(engine)) {
      if (kind !== 3) continue; // COMMIT: what was asked of the disk is done
      const ticket = /"ticket":(\d+)/.exec(text().slice(0, 200));
      if (ticket === null) fail("a COMMIT without a ticket");
      must(door.tm_door_committed(engine, ...now, BigInt(ticket[1]), 0, 0n));
    }
  };
  const feed = (frame) => {
    const [len] = put(frame);
    must(door.tm_door_feed(engine, ...now, len));
    events();
  };
  events();
  must(door.tm_door_channel(engine, ...now, 3));
  must(door.tm_door_ask(engine, ...now, 3));
  events();
  while (must(door.tm_door_take(engine, ...now)) !== 0) {}
  feed(
    JSON.stringify({
      type: "SUBSCRIBED",
      list: "l-0",
      user: "bench",
      version: 0,
      mark: "",
      head,
      serverTime: START,
    }),
  );
  return { feed, version: () => Number(door.tm_door_cursor(engine)) };
}

function frames(items, count) {
  return operations(items, count).map((batch) => {
    const version = batch[BATCH - 1].seq;
    return encoder.encode(
      JSON.stringify({
        type: "OPERATIONS",
        list: "l-0",
        from: batch[0].seq,
        version,
        mark: id(version).padStart(64, "0"),
        head: items + count,
        serverTime: START,
        operations: batch,
      }),
    );
  });
}

/** Operations a second, of `count` behind `items` adds. */
export async function engineApply(module, items, count) {
  const all = frames(items, count);
  const first = items / BATCH;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const engine = await engineOpen(module, items + count);
    for (const frame of all.slice(0, first)) engine.feed(frame);
    const began = process.hrtime.bigint();
    for (const frame of all.slice(first)) engine.feed(frame);
    best = Math.min(best, Number(process.hrtime.bigint() - began) * 1e-9);
    if (engine.version() !== items + count) fail(`the engine stands at ${engine.version()}`);
  }
  return count / best;
}

/** A list as a snapshot: milliseconds until it is the engine's. */
export async function engineLoad(module, items) {
  const stamp = (n) => [START - n, 0, 0, n + 1];
  const data = JSON.stringify({
    state: {
      format: 1,
      browsers: ["chrome-abc0"],
      dead: [],
      items: Array.from({ length: items }, (_, n) => [
        instance(n),
        [...stamp(n), `img-${n}`],
        ["description", [...stamp(n), `no ${n}`]],
        ["photoNumber", [...stamp(n), String(n % 1000)]],
      ]),
      sort: null,
    },
    H: [START, 0],
    unknown: [],
    live: items,
  });
  const part = 900_000;
  const parts = Math.ceil(data.length / part);
  const frame = (n) =>
    encoder.encode(
      JSON.stringify({
        type: "SNAPSHOT",
        list: "l-0",
        version: items,
        mark: "0".repeat(64),
        part: n + 1,
        parts,
        data: data.slice(n * part, (n + 1) * part),
      }),
    );
  const all = Array.from({ length: parts }, (_, n) => frame(n));
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const engine = await engineOpen(module, items);
    const began = process.hrtime.bigint();
    for (const one of all) engine.feed(one);
    best = Math.min(best, Number(process.hrtime.bigint() - began) * 1e-6);
    if (engine.version() !== items) fail(`the engine stands at ${engine.version()}`);
  }
  return best;
}
