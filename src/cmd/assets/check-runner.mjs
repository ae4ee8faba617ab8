// check-runner.mjs - `tidemark check --engine wasm` runs core.wasm here.
//
// Started with a helper in place: file() takes a file from the pipe. First comes core.wasm; then calls, one frame each, until the pipe ends:
//
//   call     u32 length of the rest, u8 length of the name, the name, u8 arguments,
//            each: u8 'i' | 'u' | 'w' and u64; u8 result's letter or 'v';
//            u8 1 = the output is wanted; the rest is the input
//   answer   u32 length of the rest, u8 0 = returned, 1 = trapped; i64 what it returned;
//            the rest is the output, or the trap's words
//
// All little-endian. Calls may come many at a time; their answers leave together, when
// there is nothing more to read. All engines live in one instance.
import { readSync, writeSync } from 'node:fs';

const { file } = globalThis;

let answers = [];

function flush() {
  const bytes = Buffer.concat(answers);
  answers = [];
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

function answer(trapped, value, bytes) {
  const head = Buffer.alloc(13);
  head.writeUInt32LE(9 + bytes.length, 0);
  head.writeUInt8(trapped, 4);
  head.writeBigInt64LE(BigInt.asIntN(64, BigInt(value)), 5);
  answers.push(head, bytes);
}

let pipe = Buffer.alloc(1 << 16);
let first = 0; // of what was read and not taken yet
let end = 0;

// `count` bytes, good until the next call. Ends the process where the pipe ends.
function take(count) {
  if (end - first < count && answers.length > 0) flush();
  while (end - first < count) {
    if (first > 0) pipe.copy(pipe, 0, first, end);
    end -= first;
    first = 0;
    if (pipe.length < count) pipe = Buffer.concat([pipe], 2 * count);
    const got = readSync(0, pipe, end, pipe.length - end);
    if (got === 0) process.exit(0);
    end += got;
  }
  first += count;
  return pipe.subarray(first - count, first);
}

const module = new WebAssembly.Module(new Uint8Array(file()));
let core = new WebAssembly.Instance(module).exports;
let engines = 0; // in use

// core.wasm frees no engine: they go with their instance.
const FULL = 64 << 20;
const extra = {
  tm_door_new(...lengths) {
    const engine = core.tm_door_new(...lengths);
    if (engine > 0) engines++;
    return engine;
  },
  tm_door_free() {
    engines--;
    if (engines === 0 && core.memory.buffer.byteLength > FULL)
      core = new WebAssembly.Instance(module).exports;
  },
};

// Memory may have moved in any call, so a view never outlives the next one.
const memory = (at, length) => Buffer.from(core.memory.buffer, at >>> 0, length >>> 0);
answer(0, 0, Buffer.alloc(0));
flush();

for (;;) {
  const frame = take(take(4).readUInt32LE(0));
  let at = 1 + frame[0];
  const name = frame.toString('utf8', 1, at);
  const values = [];
  for (let left = frame[at++]; left > 0; left--, at += 9) {
    const value = frame.readBigUInt64LE(at + 1);
    values.push(frame[at] === 0x77 /* w */ ? value : Number(BigInt.asIntN(32, value)));
  }
  const kind = String.fromCharCode(frame[at]);
  const wanted = frame[at + 1] === 1;
  const input = frame.subarray(at + 2);
  try {
    if (input.length > 0) {
      const room = core.tm_door_in(input.length);
      if (room === 0) throw new Error(`no memory for ${input.length} bytes of input`);
      input.copy(memory(room, input.length));
    }
    let value = (extra[name] ?? core[name])(...values);
    if (kind === 'u') value >>>= 0;
    if (kind === 'v') value = 0;
    const output = wanted
      ? Buffer.from(memory(core.tm_door_out(), core.tm_door_out_len()))
      : Buffer.alloc(0);
    answer(0, value, output);
  } catch (error) {
    answer(1, 0, Buffer.from(`${name}: ${error.message}`));
  }
}
