// peers.mjs - `make bench-peers`: the crowd of bench/kit/crowd.h before Tidemark and before
// three others, one after another in the same sitting, each on one core; and the ratios.
// ONLY="redis" runs some of them. build/bench-peers.json has the results.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { gather, words } from "./run.mjs";
import { number, write } from "./table.mjs";

const build = resolve("build/release");
const work = resolve("build/bench");
const peers = resolve("bench/peers");
const crowds = [
  ["50x1", "50 lists, 1 unanswered each", ["50", "1"]],
  ["50x8", "50 lists, 8 unanswered each", ["50", "8"]],
  ["1000x1", "1,000 lists, 1 unanswered each", ["1000", "1"]],
];
const names = {
  edits: "Tidemark",
  redis: "Redis Streams, appendfsync always",
  node: "node + better-sqlite3 + ws",
  yjs: "Yjs + y-websocket (not durable)",
};

const results = {};
const only = words("ONLY");
const wanted = Object.keys(names).filter(
  (name) => name === "edits" || only.length === 0 || only.includes(name),
);

mkdirSync(work, { recursive: true });
execFileSync(process.execPath, [`${peers}/yjs-updates.mjs`, work, "30000"], { stdio: "inherit" });
for (const [, , size] of crowds) {
  for (const name of wanted) {
    const command =
      name === "edits"
        ? [`${build}/bench_load`, "edits", ...size]
        : [`${build}/bench_peers`, peers, name, ...size];
    await gather(command, work, results);
  }
}
await gather([`${build}/bench_load`, "memory"], work, results);
if (only.length === 0) {
  console.error("  apply: core, Yjs, Automerge");
  await gather([`${build}/bench_core_apply`, "--json"], work, results);
  await gather([process.execPath, "bench/wasm/run.mjs", "build/wasm"], undefined, results);
  await gather([process.execPath, `${peers}/apply.mjs`, work], undefined, results);
}

const value = (name) => results[name]?.value ?? Number.NaN;
const cell = (of, what) => number(value(`${of}.${what}`)).padStart(10);

for (const [crowd, title] of crowds) {
  console.log(`\n${title}, 3 connections a list, 30 % add, 60 % update, 10 % delete`);
  console.log(
    `${"".padEnd(36)}   edits/s  us CPU/edit  ack p50 ms  seen p99 ms   edits/s and CPU: Tidemark is`,
  );
  for (const name of wanted) {
    const of = `${name}.${crowd}`;
    const ratio =
      name === "edits"
        ? ""
        : `${(value(`edits.${crowd}.edits`) / value(`${of}.edits`)).toFixed(1)} x, ` +
          `${(value(`${of}.cpu`) / value(`edits.${crowd}.cpu`)).toFixed(1)} x cheaper`;
    console.log(
      `${names[name].padEnd(36)}${cell(of, "edits")} ${cell(of, "cpu")}  ${cell(of, "ack.p50")}  ` +
        `${cell(of, "seen.p99")}     ${ratio}`.trimEnd(),
    );
  }
}
console.log("\n1,000 lists of 100 items, connected three times over, resident");
for (const name of wanted) {
  const mb = name === "edits" ? value("memory.1000") : value(`${name}.1000x1.rss`);
  console.log(`${names[name].padEnd(36)}${number(mb).padStart(10)} MB`);
}
if (only.length === 0) {
  console.log("\noperations of others applied, about 1,000 items");
  for (const [title, name] of [
    ["Tidemark, native, from JSON", "apply.native.1000"],
    ["Tidemark, WebAssembly, from JSON", "apply.wasm.1000"],
    ["Tidemark, the whole engine in node", "engine.wasm.1000"],
    ["Yjs, from its updates", "apply.yjs"],
    ["Automerge, from its changes", "apply.automerge"],
  ]) {
    console.log(`${title.padEnd(36)}${number(value(name)).padStart(10)} /s`);
  }
}
write("build/bench-peers.json", results);
