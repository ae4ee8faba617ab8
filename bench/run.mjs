// run.mjs - `make bench`: everything, one table, and build/bench.json. ONLY="apply calm" (in
// the environment) runs a part: apply wasm edits calm fanout memory idle cold. WITH="nice -5"
// puts a command before each.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { print, write } from "./table.mjs";

const build = resolve("build/release");
const work = resolve("build/bench");
const steps = {
  apply: [`${build}/bench_core_apply`, "--json"],
  wasm: ["taskset", "-c", "1", process.execPath, "bench/wasm/run.mjs", "build/wasm"],
  edits: [`${build}/bench_load`, "edits", "50", "1", "edits", "50", "8", "edits", "1000", "1"],
  calm: [`${build}/bench_load`, "calm"],
  fanout: [`${build}/bench_load`, "fanout"],
  memory: [`${build}/bench_load`, "memory"],
  idle: [`${build}/bench_load`, "idle"],
  cold: [`${build}/bench_load`, "cold"],
};

/** A list of words in the environment. */
export const words = (name) => (process.env[name] ?? "").split(/[\s,]+/).filter((word) => word);

/** What a program prints, by name; its words for people pass through. */
export async function gather(command, cwd, results) {
  const all = [...words("WITH"), ...command];
  const child = spawn(all[0], all.slice(1), { cwd, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((done) => child.on("close", done).on("error", done));
  for await (const line of createInterface(child.stdout)) {
    const { name, value, unit } = JSON.parse(line);
    results[name] = { value, unit };
  }
  const code = await ended;
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}`);
}

async function main() {
  const only = words("ONLY");
  const unknown = only.find((word) => !(word in steps));
  if (unknown !== undefined) {
    throw new Error(`ONLY is some of: ${Object.keys(steps).join(" ")}; not ${unknown}`);
  }
  const results = {};
  mkdirSync(work, { recursive: true });
  for (const [name, command] of Object.entries(steps)) {
    if (only.length > 0 && !only.includes(name)) continue;
    console.error(`${name} ...`);
    await gather(command, name === "wasm" ? undefined : work, results);
  }
  print(results);
  write("build/bench.json", results);
  console.log("\nbuild/bench.json has the same, with the machine and the commit.");
}

if (process.argv[1]?.endsWith("bench/run.mjs")) {
  main().catch((error) => {
    console.error(`bench: ${error.message}`);
    process.exitCode = 1;
  });
}
