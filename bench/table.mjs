// table.mjs - what the benchmarks' results are called, how they are shown, and what they are
// written to. One row: the result's name, what a person calls it, and the bound it must keep
// (docs/PERFORMANCE.md), if there is one.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

const crowd = (name, words) => [
  [`${name}.edits`, `durable edits/s, ${words}`, [">=", 15_000]],
  [`${name}.cpu`, "  server CPU per edit", ["<=", 40]],
  [`${name}.cpu_user`, "    of it in the program"],
  [`${name}.cpu_kernel`, "    of it in the kernel"],
  [`${name}.core`, "  of the server's core in use"],
  [`${name}.ack.p50`, "  ack, median"],
  [`${name}.ack.p99`, "  ack, 99th of a hundred"],
  [`${name}.seen.p50`, "  seen by the others, median"],
  [`${name}.seen.p99`, "  seen by the others, 99th"],
  [`${name}.batch`, "  edits in a stored batch"],
  [`${name}.syncs`, "  commits, each an fdatasync"],
  [`${name}.sync_bytes`, "    written to the disk with each"],
  [`${name}.disk`, "    the disk alone, so much in each"],
  [`${name}.in`, "  received per edit"],
  [`${name}.out`, "  sent per edit, to all three"],
  [`${name}.frames`, "  frames sent per edit"],
  [`${name}.rss`, "  memory afterwards"],
];

export const rows = [
  ["apply.native.1000", "operations applied from JSON, native, 1,000 items", [">=", 2_000_000]],
  ["apply.native.10000", "  10,000 items"],
  ["apply.wasm.1000", "  in WebAssembly, 1,000 items", [">=", 700_000]],
  ["apply.wasm.10000", "  in WebAssembly, 10,000 items"],
  ["engine.wasm.1000", "  by the whole engine of a browser, 1,000 items"],
  ["load.native.10000", "a snapshot of 10,000 items read, native"],
  ["load.wasm.10000", "  by the engine of a browser"],
  ...crowd("edits.50x1", "50 lists x 3, 1 unanswered each"),
  ...crowd("edits.50x8", "50 lists x 3, 8 unanswered each"),
  ...crowd("edits.1000x1", "1,000 lists x 3, 1 unanswered each"),
  ["calm.ack.p50", "ack of a single edit at rest, median"],
  ["calm.ack.p99", "  99th"],
  ["calm.seen.p50", "  seen by the others, median"],
  ["calm.seen.p99", "  seen by the others, 99th"],
  ["calm.cpu", "  server CPU"],
  ["calm.disk", "  the disk alone, 8 KiB in each"],
  ["fanout.deliveries", "operations delivered/s, 1 writer, 999 readers"],
  ["fanout.cpu", "  server CPU per delivery"],
  ["fanout.core", "  of the server's core in use"],
  ["fanout.seen.p50", "  seen, median"],
  ["memory.empty", "memory of the daemon, empty"],
  ["memory.1000", "  1,000 lists x 100 items x 3 connections", ["<=", 60]],
  ["memory.lists", "    of it the lists"],
  ["idle.socket", "memory per idle WebSocket, of 10,000", ["<=", 1024]],
  ["idle.subscribed", "  that listens to one of 100 lists"],
  ["cold.100.get", "GET of a list that is not in memory, 100 items"],
  ["cold.1000.get", "  1,000 items"],
  ["cold.10000.get", "  10,000 items"],
  ["cold.100.subscribe", "SUBSCRIBE, to the last byte, 100 items"],
  ["cold.1000.subscribe", "  1,000 items"],
  ["cold.10000.subscribe", "  10,000 items"],
];

export function number(value) {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function kept([sign, bound], value) {
  return sign === ">=" ? value >= bound : value <= bound;
}

/** The one table; what was not measured has no row. */
export function print(results) {
  for (const [name, words, bound] of rows) {
    const found = results[name];
    if (found === undefined) continue;
    const shown = `${number(found.value).padStart(12)} ${found.unit.padEnd(10)}`;
    const judged =
      bound === undefined
        ? ""
        : `${kept(bound, found.value) ? "" : "MISSED "}${bound[0]} ${bound[1].toLocaleString("en-US")}`;
    console.log(`${words.padEnd(52)}${shown}${judged}`.trimEnd());
  }
}

function described() {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty", "--tags"], {
      encoding: "utf8",
    }).trim();
  } catch {
    return "unknown";
  }
}

export function machine() {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    node: process.version,
    load: readFileSync("/proc/loadavg", "utf8").trim(),
  };
}

export function write(path, results) {
  const all = { version: described(), date: new Date().toISOString(), machine: machine(), results };
  writeFileSync(path, `${JSON.stringify(all, null, 2)}\n`);
}
