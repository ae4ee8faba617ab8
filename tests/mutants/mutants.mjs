// Deliberate faults, one at a time: does the suite of golden cases or the simulator find
// each? docs/MUTANTS.md has the format of NAME.mutant.
//
//   node tests/mutants/mutants.mjs plant NAME DIRECTORY   a copy of src/ with the fault
//   node tests/mutants/mutants.mjs check                  TAP: each applies, and compiles
//   node tests/mutants/mutants.mjs run [NAME...]          kill them all, print a table
//   node tests/mutants/mutants.mjs cases [NAME...]        what --shrink makes of a seed that each fails
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
let sources = join(root, "src"); // what faults are planted into
const seeds = Number(process.env.SEEDS ?? 2000);

function mutant(name) {
  const text = readFileSync(join(here, `${name}.mutant`), "utf8");
  const [head, ...edits] = text.replace(/\n$/, "").split(/\nreplace:\n/);
  const [, title, file, breaks] = /^title: (.+)\nfile: (src\/.+)\nbreaks: (.+)$/.exec(head) ?? [];
  const changes = edits.map((edit) => /^([^]+?)\nby:\n([^]*)$/.exec(edit));
  if (!title || changes.length === 0 || changes.includes(null)) {
    throw new Error(`${name}.mutant is not of the form that docs/MUTANTS.md tells`);
  }
  return { name, title, file, breaks, changes };
}

const names = () => readdirSync(here).filter((file) => file.endsWith(".mutant")).map((file) => file.slice(0, -7)).sort();

/** The file's text with the fault. */
function mutated({ name, file, changes }) {
  let text = readFileSync(join(sources, file.slice(4)), "utf8");
  for (const [, from, to] of changes) {
    const parts = text.split(from);
    if (parts.length !== 2) throw new Error(`${name} applies ${parts.length - 1} times to ${file}, not once`);
    text = parts.join(to);
  }
  return text;
}

/** A copy of src/ with one fault, or none; only what differs is written, so that little is built anew. */
function plant(one, directory) {
  const wanted = new Set();
  const copy = (path) => {
    for (const entry of readdirSync(join(sources, path), { withFileTypes: true })) {
      const file = join(path, entry.name);
      if (entry.isDirectory()) {
        copy(file);
        continue;
      }
      const to = join(directory, file);
      wanted.add(to);
      const text = one?.file === join("src", file) ? Buffer.from(mutated(one)) : readFileSync(join(sources, file));
      let there;
      try {
        there = readFileSync(to);
      } catch {
        mkdirSync(dirname(to), { recursive: true });
      }
      if (!there?.equals(text)) writeFileSync(to, text);
    }
  };
  copy("");
  const sweep = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const file = join(path, entry.name);
      if (entry.isDirectory()) sweep(file);
      else if (!wanted.has(file)) rmSync(file);
    }
  };
  sweep(directory);
}

function command(program, args, options = {}) {
  return new Promise((done) => {
    execFile(program, args, { cwd: root, maxBuffer: 1 << 28, killSignal: "SIGKILL", ...options }, (error, out, err) => {
      const code = error ? (error.killed ? "time" : (error.code ?? error.signal ?? error.message)) : 0;
      done({ code, out, err });
    });
  });
}

// ---- check ----------------------------------------------------------------------------

async function check() {
  let bad = 0;
  const lane = async (rest) => {
    for (let name; (name = rest.shift()); ) {
      let wrong;
      try {
        const one = mutant(name);
        const text = mutated(one);
        const stem = join(root, "build/mutants/check", name);
        mkdirSync(dirname(stem), { recursive: true });
        writeFileSync(`${stem}.c`, one.file.endsWith(".h") ? `${text}\ntypedef int not_empty;\n` : text);
        const flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", '-DTM_VERSION="0"', "-Isrc", "-w", "-fsyntax-only"];
        const { code, err } = await command("gcc", [...flags, `${stem}.c`]);
        if (code !== 0) wrong = err;
      } catch (error) {
        wrong = error.message;
      }
      if (wrong) console.log(wrong.replaceAll(/^/gm, "# "));
      console.log(`${wrong ? "not ok" : "ok"} - mutants: ${name} applies and compiles`);
      bad += wrong ? 1 : 0;
    }
  };
  const rest = names();
  await Promise.all([lane(rest), lane(rest)]);
  process.exitCode = bad ? 1 : 0;
}

// ---- run ------------------------------------------------------------------------------

const golden = readdirSync(join(root, "tests/golden")).filter((file) => file.endsWith(".json")).sort().map((file) => `tests/golden/${file}`);
const simulate = ["simulate", "--seeds", String(seeds)];
const cases = readdirSync(join(root, "tests/cmd/cases")).filter((file) => file.endsWith(".json")).sort().map((file) => `tests/cmd/cases/${file}`);

/** What failed first, from the words of `tidemark check`; a crash or an endless loop counts too. */
function failed({ code, out, err }) {
  if (code === 0) return undefined;
  const first = /^not ok \d* ?-? ?(.+)$|^FAILED? (.+)$/m.exec(out) ?? /"name":"([^"]+)"[^}]*"passed":false/.exec(out);
  if (first) return first[1] ?? first[2];
  const said = `${out}\n${err}`.trim().split("\n").find((line) => /fail|wrong|assert|differ|expected/i.test(line));
  return said?.slice(0, 70) ?? (code === "time" ? "it never ended" : `it ended with ${code}`);
}

async function kill(one, directory) {
  const source = join(directory, "src"), program = join(directory, "tidemark");
  plant(one, source);
  const built = await command("ninja", ["-C", directory, "tidemark"]);
  if (built.code !== 0) {
    console.log(built.out.slice(-2000));
    return undefined;
  }
  const native = await command(program, ["check", ...golden, ...cases], { timeout: 120000 });
  let by = failed(native);
  if (by) {
    // For those that live in the browser: the module that ships must show it too.
    const wasm = /src\/(core|client)\//.test(one.file) ? await command(program, ["check", "--engine", "wasm", ...golden, ...cases], { timeout: 180000 }) : undefined;
    return { by: `case ${by}`, need: "0", wasm: wasm && (failed(wasm) ? "killed" : "ALIVE") };
  }
  const store = one.file.startsWith("src/store/") ? "sqlite" : "both";
  if (store === "sqlite") {
    by = failed(await command(program, ["check", "--store", "sqlite", ...golden, ...cases], { timeout: 120000 }));
    if (by) return { by: `case ${by} (sqlite)`, need: "0" };
  }
  const run = await command(program, [...simulate, "--jobs", "1", "--store", store], { timeout: 900000 });
  if (run.code === 0) return undefined;
  const [, seed, what] = /^seed (\d+) breaks (I\d+, [^,]+),/m.exec(run.out) ?? /seed (\d+)(.*)/.exec(run.err) ?? [];
  return { by: what ?? failed(run), need: seed ?? "?" };
}

// ---- cases ----------------------------------------------------------------------------

/** The case that `simulate --shrink` writes of the first seed that fails: it must fail with the fault, and pass without. */
async function caseOf(one, directory, clean) {
  const source = join(directory, "src"), program = join(directory, "tidemark");
  plant(one, source);
  const built = await command("ninja", ["-C", directory, "tidemark"]);
  if (built.code !== 0) throw new Error(built.out.slice(-2000));
  const store = one.file.startsWith("src/store/") ? "sqlite" : "both";
  const run = await command(program, [...simulate, "--jobs", "1", "--store", store], { timeout: 300000 });
  const [, seed] = /^seed (\d+) breaks/m.exec(run.out) ?? [];
  if (!seed) return `no seed of ${seeds} fails`;
  const place = join(directory, "cases");
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  const short = await command(program, ["simulate", "--seed", seed, "--store", store, "--shrink"], { cwd: place, timeout: 600000 });
  const [, broken] = /are enough for (\S+):/.exec(short.out) ?? [];
  const file = join(place, `seed-${seed}.json`);
  const text = `seed ${seed}, ${broken}: `;
  if (!readdirSync(place).includes(`seed-${seed}.json`)) return text + (/^No case .*$/m.exec(short.out)?.[0] ?? "SAYS NOTHING");
  const [bad, good] = [await command(program, ["check", file], { timeout: 60000 }), await command(clean, ["check", file], { timeout: 60000 })];
  const parsed = JSON.parse(readFileSync(file, "utf8")).cases[0];
  const what = parsed.kind === "merge" ? `merge of ${parsed.ops.length} operations` : `scenario of ${parsed.steps.length} steps`;
  return `${text}${what}; with the fault ${bad.code === 0 ? "PASSES" : "fails"}, without ${good.code === 0 ? "passes" : "FAILS"}`;
}

async function casesAll(wanted) {
  const directory = join(root, "build/mutants/0");
  const clean = join(root, "build/mutants/clean");
  await configure(directory);
  await whole(directory, false);
  copyFileSync(join(directory, "tidemark"), clean);
  let wrong = 0;
  for (const name of wanted.length > 0 ? wanted : names()) {
    const said = await caseOf(mutant(name), directory, clean);
    wrong += /PASSES|FAILS|NOTHING/.test(said) ? 1 : 0;
    console.log(`${name.padEnd(28)} ${said}`);
  }
  process.exitCode = wrong ? 1 : 0;
}

async function configure(directory) {
  const flags = ["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Check", "-DCMAKE_C_COMPILER=gcc", "-DTM_MUTANT=none", "-DTM_TESTED="];
  const { code, out, err } = await command("cmake", ["-S", ".", "-B", directory, ...flags]);
  if (code !== 0) throw new Error(`cmake: ${out}${err}`);
}

// Without a fault everything must pass, or every fault would look found.
async function whole(directory, simulates) {
  plant(undefined, join(directory, "src"));
  const program = join(directory, "tidemark");
  const built = await command("ninja", ["-C", directory, "tidemark"]);
  if (built.code !== 0) throw new Error(built.out.slice(-2000));
  const checked = await command(program, ["check", ...golden, ...cases]);
  if (checked.code !== 0) throw new Error(`without a fault: case ${failed(checked)}`);
  if (!simulates) return;
  for (const store of ["both", "sqlite"]) {
    const run = await command(program, [...simulate, "--store", store]);
    if (run.code !== 0) throw new Error(`without a fault: simulate: ${/^seed .*$/m.exec(run.out) ?? run.err}`);
  }
}

async function runAll(wanted) {
  const rest = (wanted.length > 0 ? wanted : names()).map(mutant);
  const still = join(root, "build/mutants/src"); // they may be edited meanwhile
  mkdirSync(still, { recursive: true });
  plant(undefined, still);
  sources = still;
  const rows = [], began = Date.now();
  let alive = 0, done = 0;
  const count = rest.length;
  const lane = async (directory) => {
    await configure(directory);
    await whole(directory, directory.endsWith("0"));
    for (let one; (one = rest.shift()); ) {
      const started = Date.now();
      const dead = await kill(one, directory);
      if (!dead || dead.wasm === "ALIVE") alive++;
      rows.push({ ...one, ...dead, seconds: (Date.now() - started) / 1000 });
      console.log(`${++done}/${count} ${one.name}: ${dead ? `${dead.by}${dead.need === "0" ? "" : `, seed ${dead.need}`}` : `SURVIVED ${seeds} seeds`} (${((Date.now() - started) / 1000).toFixed(0)} s)`);
    }
  };
  const width = Math.min(2, cpus().length, count);
  await Promise.all(Array.from({ length: width }, (_, i) => lane(join(root, `build/mutants/${i}`))));
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  console.log(`\n${"mutant".padEnd(28)} ${"seeds".padStart(5)}  killed by`);
  for (const { name, by, need, wasm } of rows) {
    console.log(`${name.padEnd(28)} ${(by ? need : "-").padStart(5)}  ${by ?? "NOBODY"}${wasm ? `; wasm: ${wasm}` : ""}`);
  }
  console.log(`\n${count - alive} of ${count} killed, at most ${seeds} seeds each, ${((Date.now() - began) / 1000).toFixed(0)} s`);
  process.exitCode = alive ? 1 : 0;
}

const [what, ...words] = process.argv.slice(2);
if (what === "plant" && words.length === 2) {
  mkdirSync(words[1], { recursive: true });
  plant(words[0] === "none" ? undefined : mutant(words[0]), resolve(words[1]));
} else if (what === "check") {
  await check();
} else if (what === "cases") {
  await casesAll(words);
} else if (what === "run") {
  await runAll(words);
} else {
  console.error("mutants.mjs plant NAME DIRECTORY | check | run [NAME...] | cases [NAME...]");
  process.exitCode = 2;
}
