// The real daemon under fire. Writers save over real sockets without pause and remember,
// outside the daemon, what it acknowledged; the daemon is killed, its calls fail, its disk
// is full; after each start all that was acknowledged is there, once, and verify agrees.
//
//   node tests/crash/crash.mjs [share] [WORD...]
//
// share: as much as `make test` runs. WORD: only the parts whose names have one of them.
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Daemon, EIO, ENOSPC, EROFS, KILL_AFTER, KILL_BEFORE, SHORT, SYNC, Shim, WRITE, run, tidemark } from "./daemon.mjs";
import { Writer, acknowledged, compare, get } from "./writers.mjs";

const share = process.argv.includes("share");
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const total = { kills: 0, starts: 0, acked: 0, faults: 0 };
let now = total; // of the part that runs

function must(truth, what) {
  if (!truth) throw new Error(what);
}

// What does not depend on the clock is the same in every run.
let seed = 1;
function dice(sides) {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return (seed >> 8) % sides;
}

/** A daemon, and writers at its door. */
class World {
  constructor(lists = 3, each = 2, options = {}) {
    this.daemon = new Daemon(options);
    this.writers = [];
    for (let i = 0; i < lists * each; i++) this.writers.push(new Writer(this.daemon, `list-${i % lists}`));
  }
  async start(options) {
    now.starts++;
    return await this.daemon.start(options);
  }
  /** It must start, hold what it acknowledged, and agree with itself. */
  async check() {
    if (!this.daemon.running) must(await this.start(), `it did not start: ${this.daemon.said}`);
    const acked = acknowledged(this.writers);
    compare(this.writers, acked, await this.daemon.look());
    await this.daemon.verify();
  }
  async kill() {
    await this.killed(this.daemon.end("SIGKILL"));
  }
  async killed(gone = this.daemon.gone) {
    const ended = await gone;
    must(ended === "SIGKILL", `it ended with ${ended}: ${this.daemon.said}`);
    now.kills++;
  }
  /** Writers save while `story` happens. */
  async busy(story) {
    let going = true;
    const working = Promise.all(this.writers.map((writer) => writer.work(() => going)));
    try {
      await Promise.race([story(), working]); // a writer that finds a loss ends it
    } finally {
      going = false;
    }
    await working;
  }
  /** Everything queued is accepted in the end. */
  async drain() {
    for (const writer of this.writers) {
      for (let tries = 0; writer.queue.length > 0; tries++) {
        const status = await writer.push();
        must(tries < 200, `${writer.browserId} cannot save: ${status}`);
        if (status !== 200) await wait(20);
      }
    }
  }
  async close() {
    for (const writer of this.writers) {
      now.acked += writer.acked.size;
      writer.close();
    }
    await this.daemon.close();
  }
}

async function withWorld(story, ...shape) {
  const world = new World(...shape);
  try {
    return await story(world);
  } finally {
    await world.close();
  }
}

/** Runs `one(i)` for i = 0 .. count-1, so many at a time. */
async function pool(count, width, one) {
  let next = 0;
  const lane = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

// ---- the parts ----------------------------------------------------------------------

async function randomKills() {
  const lives = share ? 20 : 25, worlds = share ? 2 : 30;
  await pool(worlds, 2, () =>
    withWorld(async (world) => {
      must(await world.start(), "it did not start");
      await world.busy(async () => {
        for (let life = 0; life < lives; life++) {
          await wait(5 + dice(dice(4) === 0 ? 400 : 90));
          await world.kill();
          await world.check();
        }
      });
      await world.drain();
      await world.check();
    }),
  );
}

async function killedAtEveryLine() {
  for (let nth = 1; ; nth++) {
    let lines = 0, struck = false;
    await withWorld(async (world) => {
      const line = () => {
        if (++lines !== nth) return;
        struck = true;
        world.daemon.child.kill("SIGKILL");
      };
      await world.start();
      world.writers[0].make(5);
      await world.drain();
      await world.kill();
      await world.start({ line }); // it finds a log
      if (world.daemon.running && !struck) {
        world.writers[0].make(5);
        await world.writers[0].push();
        world.daemon.child?.kill("SIGTERM");
      }
      const ended = await world.daemon.gone;
      must(struck ? ended === "SIGKILL" || ended === 0 : ended === 0, `it ended with ${ended}`);
      if (ended === "SIGKILL") now.kills++;
      await world.check();
      await world.drain();
    });
    if (!struck) return must(nth > 3, "it logged nothing");
  }
}

/** Counts the calls of `story`, then has it run once for each, killed there. */
async function killedAtEveryCall(prepare, story, { width = 2, step = 1, actions = [KILL_BEFORE, KILL_AFTER] } = {}) {
  const one = (at, action) =>
    withWorld(async (world) => {
      must(await world.start(), "it did not start");
      await prepare(world);
      world.daemon.shim.arm({ at, action });
      await story(world, at);
      const { calls } = world.daemon.shim;
      world.daemon.shim.disarm();
      if (at > 0 && at <= calls) await world.killed();
      else if (world.daemon.running) await world.kill();
      await world.check();
      await world.drain();
      await world.check();
      return calls;
    });
  const calls = await one(0, KILL_BEFORE);
  must(calls > 2, `only ${calls} calls`);
  const plans = [];
  for (let at = 1; at <= calls + 1; at += step) for (const action of actions) plans.push([at, action]);
  await pool(plans.length, width, (i) => one(...plans[i]));
}

async function killedInAPush() {
  for (const warm of [false, true]) {
    const prepare = async (world) => {
      if (!warm) return;
      world.writers[0].make(3);
      await world.drain();
    };
    await killedAtEveryCall(prepare, async (world) => {
      world.writers[0].make(5);
      await world.writers[0].push();
    });
  }
}

async function killedInAStart() {
  const prepare = async (world) => {
    for (const writer of world.writers) writer.make(9);
    await world.drain();
    await world.kill();
  };
  await killedAtEveryCall(prepare, (world) => world.start(), { actions: [KILL_BEFORE] });
}

async function killedInFilingAndCheckpoints() {
  const prepare = async (world) => {
    for (let i = 0; i < 4; i++) {
      for (const writer of world.writers) writer.make(10);
      await world.drain();
    }
  };
  // Two seconds until it files, five idle ones until it empties the log; then it is over.
  const story = (world, at) => (at === 0 ? wait(9000) : Promise.race([wait(9500), world.daemon.gone]));
  await killedAtEveryCall(prepare, story, { width: 24, step: share ? 5 : 1, actions: [KILL_BEFORE] });
}

// What a failing call means: for this push, for the next ones, and after a restart.
const faults = [
  { name: "a write fails (EIO)", kinds: WRITE, action: EIO, fatal: true },
  { name: "a sync fails once, the next would succeed", kinds: SYNC, action: EIO, fatal: true },
  { name: "the disk became read-only", kinds: WRITE, action: EROFS, fatal: true },
  { name: "joplin#5560 the disk is full", kinds: WRITE, action: ENOSPC, times: 0, recovers: true },
  { name: "joplin#5560 no room for all of a write", kinds: WRITE, action: SHORT, times: 0, recovers: true },
  { name: "a write is cut once and continued", kinds: WRITE, action: SHORT, unseen: true },
];

async function fault({ name, kinds, action, times = 1, fatal, recovers, unseen }) {
  for (let at = 1; ; at++) {
    const more = await withWorld(async (world) => {
      must(await world.start(), "it did not start");
      const [writer] = world.writers;
      writer.make(3);
      await world.drain();
      writer.make(5);
      world.daemon.shim.arm({ kinds, at, times, action });
      const status = await writer.push();
      const { struck } = world.daemon.shim;
      const where = `${name}, call ${at}: ${status}`;
      if (struck === 0) return false;
      now.faults++;
      must(unseen ? status === 200 : status === 503, where);
      if (fatal) {
        world.daemon.shim.disarm(); // the disk would work again, and is not trusted
        must((await writer.push()) === 503, `${where}, then it saved`);
        must((await get(world.daemon.port, "/readyz")).status === 503, `${where}, and it says it is ready`);
        must((await get(world.daemon.port, "/v1/lists/list-0")).status === 200, `${where}, and it does not read`);
      }
      if (recovers) {
        must((await writer.push()) === 503, `${where}, then it saved on a full disk`);
        must((await get(world.daemon.port, "/v1/lists/list-0")).status === 200, `${where}, and it does not read`);
        world.daemon.shim.disarm();
        await world.drain(); // by itself
      }
      world.daemon.shim.disarm();
      await world.kill();
      await world.check();
      await world.drain();
      await world.check();
      return true;
    });
    if (!more) return must(at > 1, `${name}: nothing was met`);
  }
}

async function fullFilesystem() {
  const place = mkdtempSync(join(tmpdir(), "tidemark-full-"));
  const mounted = (await run("mount", ["-t", "tmpfs", "-o", "size=2m,mode=700", "tidemark", place])).code === 0;
  if (!mounted) {
    console.log("# no tmpfs can be mounted (that takes root): a full disk is tried by failing writes alone");
    rmSync(place, { recursive: true });
    return;
  }
  try {
    await withWorld(async (world) => {
      writeFileSync(join(place, "filler"), Buffer.alloc(900000));
      must(await world.start(), `it did not start: ${world.daemon.said}`);
      const [writer] = world.writers;
      let status = 200;
      for (let i = 0; status === 200 && i < 2000; i++) {
        writer.make(20);
        status = await writer.push();
      }
      must(status === 503, `a full disk was answered with ${status}`);
      now.faults++;
      must((await get(world.daemon.port, "/v1/lists/list-0")).status === 200, "it does not read");
      await world.kill(); // also while it is full
      const acked = acknowledged(world.writers);
      rmSync(join(place, "filler"));
      must(await world.start(), `it did not start again: ${world.daemon.said}`);
      compare(world.writers, acked, await world.daemon.look());
      await world.drain();
      await world.check();
    }, 1, 1, { data: join(place, "data") });
  } finally {
    must((await run("umount", [place])).code === 0, `${place} is still mounted`);
    rmSync(place, { recursive: true });
  }
}

async function stopped() {
  await withWorld(async (world) => {
    must(await world.start(), "it did not start");
    await world.busy(async () => {
      for (let i = 0; i < (share ? 2 : 5); i++) {
        await wait(100);
        world.daemon.child.kill("SIGSTOP");
        const other = await tidemark(["serve", "--user", "demo", "--data", world.daemon.data, "--listen", "127.0.0.1:0"]);
        must(other.code !== 0 && other.err.includes("is open in another Tidemark"), other.err);
        await wait(i === 0 ? 700 : 100);
        world.daemon.child.kill("SIGCONT");
        await wait(100);
        await world.check();
      }
      world.daemon.child.kill("SIGSTOP");
      await wait(50);
      await world.kill(); // as it stands
      await world.check();
    });
    await world.drain();
    await world.check();
  });
}

async function twoDaemons() {
  await withWorld(async (world) => {
    must(await world.start(), "it did not start");
    await world.busy(async () => {
      await wait(50);
      const second = ["serve", "--user", "demo", "--data", world.daemon.data, "--listen", "127.0.0.1:0"];
      const { code, err } = await tidemark(second, { timeout: 10000 });
      must(code === 1, `the second ended with ${code}`);
      must(err.includes(`is open in another Tidemark (process ${world.daemon.child.pid})`), err);
      const backup = join(world.daemon.home, "b.db");
      must((await tidemark(["backup", "--data", world.daemon.data, backup])).code === 0, "no backup");
      const restore = await tidemark(["restore", "--data", world.daemon.data, backup]);
      must(restore.code === 1 && restore.err.includes("is open in another Tidemark"), restore.err);
    });
    await world.drain();
    await world.check();
  });
}

async function killedInABackup() {
  await withWorld(async (world) => {
    must(await world.start(), "it did not start");
    const { home, data } = world.daemon;
    await world.busy(async () => {
      await wait(300);
      const shim = new Shim(join(home, "backup-shim"));
      const target = join(home, "backup.db");
      const backup = async (at) => {
        shim.arm({ at, action: KILL_BEFORE });
        const { code, err } = await tidemark(["backup", "--data", data, target], { shim });
        must(code === 0 || code === "SIGKILL", `backup: ${code} ${err}`);
        if (code === "SIGKILL") now.kills++;
        return code;
      };
      must((await backup(0)) === 0, "no backup");
      const { calls } = shim;
      rmSync(target);
      const step = Math.ceil(calls / (share ? 6 : 40));
      for (let at = 1; at <= calls; at += at < 4 || at > calls - 5 ? 1 : step) {
        if ((await backup(at)) === "SIGKILL") {
          if (existsSync(target)) await world.daemon.look(target); // whole, or not there
        }
        rmSync(target, { force: true });
      }
      const acked = acknowledged(world.writers);
      must((await backup(0)) === 0, "no backup after those that were killed");
      compare(world.writers, acked, await world.daemon.look(target));
      shim.close();
    });
    await world.drain();
    await world.check();
  });
}

async function killedInARestore() {
  await withWorld(async (world) => {
    const { daemon } = world;
    must(await world.start(), "it did not start");
    const save = async () => {
      for (const writer of world.writers) writer.make(30);
      await world.drain();
    };
    await save();
    const backup = join(daemon.home, "backup.db");
    must((await tidemark(["backup", "--data", daemon.data, backup])).code === 0, "no backup");
    const before = JSON.stringify([...(await daemon.look(backup))]);
    await save();
    await world.kill(); // it leaves a log
    const after = JSON.stringify([...(await daemon.look())]);
    must(before !== after, "nothing was saved in between");
    const kept = join(daemon.home, "kept");
    cpSync(daemon.data, kept, { recursive: true });
    const shim = new Shim(join(daemon.home, "restore-shim"));
    const restore = async (at) => {
      rmSync(daemon.data, { recursive: true });
      cpSync(kept, daemon.data, { recursive: true });
      shim.arm({ at, action: KILL_BEFORE });
      return (await tidemark(["restore", "--data", daemon.data, backup], { shim })).code;
    };
    must((await restore(0)) === 0, "no restore");
    const { calls } = shim;
    const seen = { before: 0, after: 0 };
    const step = share ? Math.ceil(calls / 8) : 1;
    for (let at = 1; at <= calls + 1; at = at > calls - 4 ? at + 1 : Math.min(at + step, calls - 3)) {
      const code = await restore(at);
      must(at <= calls ? code === "SIGKILL" : code === 0, `restore ended with ${code} at ${at}`);
      if (at <= calls) now.kills++;
      now.starts++;
      must(await daemon.start(), `it did not start: ${daemon.said}`);
      const is = JSON.stringify([...(await daemon.look())]);
      must(is === before || is === after, `neither the old nor the new database, at ${at}`);
      seen[is === before ? "before" : "after"]++;
      await daemon.verify();
      must((await daemon.end("SIGTERM")) === 0, "it did not end");
    }
    must(seen.before > 0 && seen.after > 0, `it was never killed on both sides of the change: ${JSON.stringify(seen)} of ${calls} calls`);
    shim.close();
  });
}

const parts = [
  ["killed at random times, six writers saving", randomKills],
  ["killed at every line it logs", killedAtEveryLine],
  ["killed at every call of a push", killedInAPush],
  ["killed at every call of a start that finds a log", killedInAStart],
  ["killed in filing and in checkpoints", killedInFilingAndCheckpoints],
  ...faults.map((each) => [each.name, () => fault(each)]),
  ["joplin#5560 a filesystem without room", fullFilesystem],
  ["stopped and continued (SIGSTOP), killed while stopped", stopped],
  ["two daemons, and a restore, on one database", twoDaemons],
  ["killed in a backup", killedInABackup],
  ["killed in a restore", killedInARestore],
];

const rows = [];
let failed = 0;
const only = process.argv.slice(2).filter((word) => word !== "share");
for (const [name, part] of parts) {
  if (only.length > 0 && !only.some((word) => name.includes(word))) continue;
  now = { kills: 0, starts: 0, acked: 0, faults: 0 };
  const began = Date.now();
  let wrong;
  try {
    await part();
  } catch (error) {
    wrong = error;
    failed++;
  }
  if (wrong) console.log(`${wrong.stack}`.replaceAll(/^/gm, "# "));
  console.log(`${wrong ? "not ok" : "ok"} - crash: ${name}`);
  const seconds = (Date.now() - began) / 1000;
  for (const key of Object.keys(total)) total[key] += now[key];
  rows.push([name, now.kills, now.starts, now.faults, now.acked, seconds.toFixed(1), wrong ? "LOST" : "0"]);
  if (!share) console.error(`${name}: ${now.kills} kills, ${now.acked} acknowledged, ${seconds.toFixed(0)} s; ${total.kills} kills so far`);
}
const wanted = only.length > 0 ? 0 : share ? 100 : 500;
if (total.kills < wanted) {
  console.log(`not ok - crash: only ${total.kills} kills, ${wanted} are wanted`);
  failed++;
}
rows.push(["together", total.kills, total.starts, total.faults, total.acked, "", failed ? "" : "0"]);
console.log(`# ${"part".padEnd(54)} ${["kills", "starts", "faults", "acked", "s", "lost"].map((word) => word.padStart(7)).join(" ")}`);
for (const [name, ...numbers] of rows) console.log(`# ${name.padEnd(54)} ${numbers.map((n) => String(n).padStart(7)).join(" ")}`);
process.exitCode = failed ? 1 : 0;
