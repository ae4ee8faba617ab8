// run.mjs BUILD/WASM - the core as WebAssembly under node: `apply`, operations from their
// JSON into a list, digest included, as bench/core_apply.c does it natively; `engine`, the same
// through all that a browser's engine does with them, in the shipped core.wasm. 30 % add,
// 60 % update, 10 % delete, in batches of 100. Results as bench/kit/kit.h has them.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { engineApply, engineLoad } from "./engine.mjs";
import { batches } from "./work.mjs";

const build = resolve(process.argv[2]);
const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;

export const result = (name, value, unit) =>
  console.log(JSON.stringify({ name, value: Number(value.toPrecision(6)), unit }));

/** The core with apply.c's door: by the commands that made core.wasm. */
function benchWasm() {
  const commands = execFileSync("ninja", ["-C", build, "-t", "commands", "core.wasm"], {
    encoding: "utf8",
  }).split("\n");
  const find = (...words) => commands.find((line) => words.every((word) => line.includes(word)));
  const source = resolve(here, "apply.c");
  const part = `${build}/wasm-objects/bench-apply.bc`;
  const door = [...readFileSync(source, "utf8").matchAll(/EXPORT\((\w+)\)\(/g)].map(([, name]) => name);
  // What is made of the parts gets another name; the parts are those that are there.
  const renamed = (line) =>
    line.replaceAll(`${build}/wasm-objects/core.`, `${build}/wasm-objects/bench.`)
      .replaceAll(`${build}/core.wasm`, `${build}/bench.wasm`);
  const steps = [
    find("/src/core/list.c -o ")
      .replace(/\S+\/src\/core\/list\.c -o \S+/, `${source} -o ${part}`)
      .replace(/-MD -MF \S+/, ""),
    renamed(find("llvm-link"))
      .replace(/(llvm-link\S*) /, `$1 ${part} `)
      .replace("-internalize-public-api-list=", `$&${door.join()},`),
    renamed(find("wasm-ld")),
  ];
  for (const step of steps) execFileSync("sh", ["-c", step], { stdio: "inherit" });
  return readFileSync(`${build}/bench.wasm`);
}

const { exports: core } = await WebAssembly.instantiate(
  await WebAssembly.compile(benchWasm()),
);

function feed(bytes) {
  const at = core.bench_in(bytes.length) >>> 0;
  new Uint8Array(core.memory.buffer).set(bytes, at);
  const done = core.bench_apply();
  if (done < 0) throw new Error(`core.wasm answered ${done}`);
  return done;
}

function apply(items, count) {
  const { first, mix } = batches(items, count);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 6; round++) {
    core.bench_new();
    for (const bytes of first) feed(bytes);
    const began = process.hrtime.bigint();
    for (const bytes of mix) feed(bytes);
    best = Math.min(best, Number(process.hrtime.bigint() - began) * 1e-9);
  }
  result(`apply.wasm.${items}`, count / best, "1/s");
}

apply(1_000, 200_000);
apply(10_000, 200_000);
const shipped = await WebAssembly.compile(readFileSync(`${build}/core.wasm`));
result("engine.wasm.1000", await engineApply(shipped, 1_000, 50_000), "1/s");
result("load.wasm.10000", await engineLoad(shipped, 10_000), "ms");
