// Three daemons on one DynamoDB Local and one Redis, behind a load balancer that sends every
// connection to any of them. Browsers' engines (the package itself) and plain writers edit
// the same lists without pause, while each part is killed, stopped, cut off and started
// again. In the end: nothing that was acknowledged is lost, no id is twice in a log, every
// replica is the same, and verify agrees.
//
//   node tests/chaos/chaos.mjs [share] [SEED]
//
// share: as much as `make test` runs.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import WebSocket from "ws";
import { openList } from "tidemark";
import { Writer, acknowledged, get } from "../crash/writers.mjs";
import { Relay, daemon, dynamodb, join, redis, tidemark, wait } from "./parts.mjs";

const share = process.argv.includes("share");
const seedGiven = process.argv.slice(2).find((word) => /^\d+$/.test(word));
let seed = Number(seedGiven ?? Date.now() % 1000000);
console.log(`# seed ${seed}`);
const dice = (sides) => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return (seed >> 8) % sides;
};
const must = (truth, what) => {
  if (!truth) throw new Error(what);
};

// ---- the world ----------------------------------------------------------------------

const lists = ["list-0", "list-1"];
const home = await mkdtemp(join(tmpdir(), "tidemark-chaos-"));
const table = await dynamodb(home);
const bell = await redis();
const daemons = [];
// Wires of the test: to the table, to the bell, and from the browsers.
const tableRelay = await new Relay(() => table.port).open();
const bellRelay = await new Relay(() => bell.port).open();
const up = () => daemons.filter((each) => each.running);
const balancer = await new Relay(() => {
  const any = up();
  return (any.length > 0 ? any[dice(any.length)] : daemons[0]).port;
}).open();

const endpoint = `http://127.0.0.1:${tableRelay.port}`;
for (let i = 0; i < 3; i++) {
  daemons.push(
    await daemon(i + 1, { table: endpoint, bell: `redis://127.0.0.1:${bellRelay.port}`, host: `127.0.0.1:${balancer.port}` }),
  );
}

// ---- who edits ----------------------------------------------------------------------

const core = await WebAssembly.compile(readFileSync(new URL(import.meta.resolve("tidemark/core.wasm"))));

/** A place for records that outlives the page that wrote them. */
function memory() {
  const places = new Map();
  const find = (text) => {
    for (const records of places.values()) {
      for (const [key, value] of records) if (value.includes(`"${text}"`)) return `its storage has it: ${key} ${value}`;
    }
    return "nor in its storage";
  };
  const place = (scope) => {
    if (!places.has(scope)) places.set(scope, new Map());
    const records = places.get(scope);
    return {
      keys: () => [...records.keys()],
      get: (key) => records.get(key) ?? null,
      set: (key, text) => void records.set(key, text),
      remove: (key) => void records.delete(key),
    };
  };
  return Object.assign(place, { find });
}

class Browser {
  local = memory();
  ids = [];
  texts = []; // every text that was ever written
  made = 0;
  reloads = 0;
  refused = 0;
  problems = new Map();

  constructor(name, list) {
    Object.assign(this, { name, list });
  }
  async open() {
    this.page = await openList({
      url: `http://127.0.0.1:${balancer.port}`,
      user: "demo",
      list: this.list,
      core,
      socket(url, protocols) {
        const socket = new WebSocket(url, protocols);
        socket.onerror = () => {};
        return socket;
      },
      storage: { local: this.local, disk: async () => undefined },
    });
    this.page.onProblem(({ code }) => this.problems.set(code, (this.problems.get(code) ?? 0) + 1));
  }
  edit() {
    const what = this.ids.length < 20 ? 0 : dice(10);
    const id = this.ids[dice(this.ids.length || 1)];
    if (what === 9) return void this.page.setSort(dice(2) ? "asc" : "desc");
    const description = `${this.name}-${++this.made}`;
    if (what < 2) {
      const { id: fresh, written } = this.page.add(`img-${dice(9)}`, { description });
      must(written !== "gone", `${this.name}: a new item is gone`);
      this.ids.push(fresh);
    } else if (this.page.update(id, { description }) === "gone") {
      this.refused++; // a page that has just opened may not know the item yet
      return;
    }
    this.texts.push(description);
  }
  async work(going) {
    while (going()) {
      this.edit();
      await wait(20 + dice(150));
      if (dice(150) > 0) continue;
      this.reloads++; // the page is closed, and opened on what it stored
      await this.page.close();
      await this.open();
    }
  }
  text() {
    return JSON.stringify([this.page.items.snapshot(), this.page.sort.snapshot()]);
  }
}

const browsers = [], writers = [];
const each = share ? 2 : 3;
for (let i = 0; i < lists.length * each; i++) browsers.push(new Browser(`browser-${i}`, lists[i % lists.length]));
for (let i = 0; i < lists.length; i++) writers.push(new Writer(balancer, lists[i]));

// Slower than the writers that crash a single daemon: the table here is Java on one disk.
async function save(writer, going) {
  while (going()) {
    if (writer.queue.length < 20) writer.make(1 + (writer.version % 5));
    await writer.push();
    await wait(10 + dice(60));
  }
}

// ---- what happens to them -----------------------------------------------------------

const killed = async (part) => {
  await part.kill();
  await wait(dice(200));
  await part.start();
};
const events = [
  [10, () => killed(daemons[dice(3)])],
  [3, () => killed(bell)],
  [2, () => daemons[dice(3)].pause(100 + dice(2000))],
  [1, () => bell.pause(100 + dice(9000))],
  [1, () => table.pause(100 + dice(2500))],
  [4, async () => balancer.cut(2, dice)],
  [2, async () => tableRelay.cut(2, dice)],
  [1, async () => bellRelay.cut(2, dice)],
];
const parts = () => [...daemons, bell, table];
const kills = () => parts().reduce((sum, part) => sum + part.kills, 0);

async function chaos(wanted, tableKills) {
  const spans = events.flatMap(([weight, event]) => Array(weight).fill(event));
  let ended = 0;
  while (kills() < wanted) {
    if (table.kills < Math.floor((tableKills * kills()) / wanted)) await killed(table);
    else await spans[dice(spans.length)]();
    await wait(share ? 50 + dice(250) : 100 + dice(600));
    if (!share && kills() >= ended + 10) {
      ended = kills();
      console.error(`${ended} kills, ${acknowledged(writers).size} acknowledged to writers`);
    }
  }
}

// ---- the end ------------------------------------------------------------------------

async function patient(what, ask, seconds = 60) {
  for (const end = Date.now() + seconds * 1000; ; await wait(50)) {
    let seen;
    try {
      seen = await ask();
      if (seen === true) return;
    } catch (error) {
      seen = error.message;
    }
    must(Date.now() < end, `${what}: ${seen}`);
  }
}

async function drain() {
  for (const part of parts()) if (!part.running) await part.start();
  for (const writer of writers) {
    await patient(`${writer.browserId} cannot save`, async () => {
      if (writer.queue.length > 0) await writer.push();
      return writer.queue.length === 0 || writer.queue.length;
    });
  }
  for (const browser of browsers) {
    let flushed = false;
    void browser.page.flush().then(() => (flushed = true));
    await patient(`${browser.name} is not flushed`, () => flushed || JSON.stringify(browser.page.status.snapshot()));
  }
}

async function log(list) {
  const all = [];
  for (let from = 1; ; ) {
    const { status, body } = await get(daemons[0].port, `/v1/lists/${list}/log?from=${from}&limit=1000`);
    must(status === 200, `the log of ${list}: ${status} ${body.slice(0, 200)}`);
    const { head, batches } = JSON.parse(body);
    for (const { operations } of batches) all.push(...operations);
    if (all.length === head || batches.length === 0) return all;
    from = all.length + 1;
  }
}

let browsersLogged = 0, operations = 0;
async function compare() {
  for (const list of lists) {
    const logged = await log(list);
    const ids = new Set();
    logged.forEach(({ id, seq }, i) => {
      must(seq === i + 1, `${list}: seq ${seq} after ${i}`);
      must(!ids.has(id), `${list}: ${id} is twice in the log`);
      ids.add(id);
    });
    operations += logged.length;
    for (const [id, { list: of, seq }] of acknowledged(writers)) {
      must(of !== list || logged[seq - 1]?.id === id, `${id} was acknowledged as ${seq} of ${list} and is not there`);
    }
    // A browser's writes are never merged, and all were accepted: it was flushed.
    const added = new Set(logged.filter(({ type }) => type === "ADD").map(({ instanceId }) => instanceId));
    const texts = new Set(logged.map(({ data }) => data?.description));
    for (const browser of browsers.filter((one) => one.list === list)) {
      for (const id of browser.ids) must(added.has(id), `${browser.name}: ${id} was added and is not in the log`);
      must(!browser.problems.has("diverged"), `${browser.name} differed from the server`);
      for (const text of browser.texts) {
        must(texts.has(text), `${browser.name}: ${text} was written and is not in the log; ${browser.local.find(text)}`);
      }
      browsersLogged += browser.texts.length;
    }
    const live = browsers.filter((one) => one.list === list);
    await patient(`${list}: browsers differ`, () => new Set(live.map((one) => one.text())).size === 1 || "still");
    await patient(`${list}: daemons differ`, async () => {
      const said = await Promise.all(daemons.map(({ port }) => get(port, `/v1/lists/${list}`)));
      return new Set(said.map(({ body }) => body)).size === 1 || said.map(({ body }) => body.slice(0, 60)).join();
    });
    // ... and both alike.
    const { body } = await get(daemons[0].port, `/v1/lists/${list}`);
    const there = JSON.parse(body).selectedImages.map((item) => item.instanceId).join();
    const here = live[0].page.items.snapshot().map(({ id }) => id).join();
    must(there === here, `${list}: browsers and daemons differ`);
  }
}

async function metrics() {
  const sum = new Map();
  for (const { port } of daemons) {
    const { body } = await get(port, "/metrics");
    for (const [, name, value] of body.matchAll(/^tidemark_(append_conflicts|rereads|checks|ring_reads|rings_false)_total (\d+)$/gm)) {
      sum.set(name, (sum.get(name) ?? 0) + Number(value));
    }
  }
  return [...sum].map(([name, value]) => `${name} ${value}`).join(", ");
}

let wrong;
const began = Date.now();
try {
  await table.start();
  await tidemark(["tables", "create", "--dynamodb-endpoint", endpoint]);
  await bell.start();
  for (const each of daemons) await each.start();
  for (const browser of browsers) await browser.open();
  let going = true;
  const working = Promise.all([
    ...browsers.map((browser) => browser.work(() => going)),
    ...writers.map((writer) => save(writer, () => going)),
  ]);
  try {
    await Promise.race([share ? chaos(6, 0) : chaos(Number(process.env.KILLS ?? 110), 10), working]);
  } finally {
    going = false;
  }
  await working;
  await drain();
  await compare();
  const said = await tidemark(["verify", "--store", "dynamodb", "--dynamodb-endpoint", endpoint]);
  console.log(`# verify: ${said.trim().split("\n").at(-1)}`);
  console.log(`# since their last start: ${await metrics()}`);
} catch (error) {
  wrong = error;
} finally {
  for (const browser of browsers) void browser.page?.close().catch(() => {});
  for (const part of parts()) if (part.running) await part.end("SIGKILL");
  for (const writer of writers) writer.close();
  for (const relay of [balancer, tableRelay, bellRelay]) relay.close();
  await rm(home, { recursive: true, force: true });
}
if (wrong) console.log(`${wrong.stack}`.replaceAll(/^/gm, "# "));
for (const { name, kills: count, stops } of parts()) console.log(`# ${name.padEnd(16)} ${count} kills, ${stops} stops`);
console.log(`# cut: ${balancer.cuts} of browsers, ${tableRelay.cuts} of the table, ${bellRelay.cuts} of Redis`);
const reloads = browsers.reduce((sum, { reloads: count }) => sum + count, 0);
const refused = browsers.reduce((sum, { refused: count }) => sum + count, 0);
console.log(`# ${operations} operations in the logs; ${acknowledged(writers).size} acknowledged to writers, ${browsersLogged} by browsers, ${reloads} reloads, ${refused} edits of items not known yet`);
console.log(`${wrong ? "not ok" : "ok"} - chaos: ${kills()} kills in ${((Date.now() - began) / 1000).toFixed(0)} s, ${wrong ? "something was LOST or differs" : "0 lost, no id twice, all equal"}`);
process.exit(wrong ? 1 : 0);
