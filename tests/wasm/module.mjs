// module.mjs - core.wasm as it ships, from outside: it asks the host for nothing, offers
// its memory and its door, and its memory is bounded. TAP on stdout.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

// What a page waits for. Lower it whenever the module gets smaller: the aim is 24 KB.
const GZIP_MAX = 27.9 * 1024;

const bytes = await readFile("build/wasm/core.wasm");
const module = await WebAssembly.compile(bytes);
const exported = WebAssembly.Module.exports(module);
let number = 0;

function check(name, body) {
  number++;
  try {
    body();
    console.log(`ok ${number} - core.wasm: ${name}`);
  } catch (error) {
    console.log(`# ${error.message}\nnot ok ${number} - core.wasm: ${name}`);
    process.exitCode = 1;
  }
}

check("imports nothing", () => assert.deepEqual(WebAssembly.Module.imports(module), []));
check("exports its memory", () =>
  assert.ok(exported.some(({ name, kind }) => name === "memory" && kind === "memory")));
check("exports functions, and nothing else beside the memory", () =>
  assert.deepEqual(exported.filter(({ name, kind }) => kind !== "function" && name !== "memory"), []));
check("every function is named tm_", () =>
  assert.deepEqual(
    exported.filter(({ name, kind }) => kind === "function" && !name.startsWith("tm_")), []));
check("has no section that names sources or tools", () => {
  for (const section of ["name", "producers", ".debug_info"]) {
    assert.equal(WebAssembly.Module.customSections(module, section).length, 0, section);
  }
});
check("is small when it is compressed", () => {
  const size = gzipSync(bytes, { level: 9 }).length;
  assert.ok(size <= GZIP_MAX, `${size} bytes`);
});
check("instantiates without a host", () => {
  const { exports } = new WebAssembly.Instance(module);
  assert.ok(exports.memory.buffer.byteLength > 0);
});
