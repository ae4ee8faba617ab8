// The testing checklist, line by line (tests/golden/checklist.json has the same lines in
// virtual time): real Chromium, two devices, the real daemon.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { launch } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";
import { Labeler, same } from "./labeler.mjs";

let browser, daemon, contexts;

before(async () => (browser = await launch()));
after(() => browser.close());
beforeEach(async () => {
  daemon = await Daemon.start();
  contexts = [];
});
afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  await daemon.end();
});

/** A device: storage of its own. `push` false: no WebSocket gets through. */
async function device({ push = true } = {}) {
  const context = await browser.newContext();
  contexts.push(context);
  if (!push) await context.routeWebSocket(/\/v1\/ws$/, (socket) => socket.close({ code: 3001 }));
  return Labeler.open(context, daemon.url);
}

const both = () => Promise.all([device(), device()]);
const go = (labeler, offline) => labeler.page.context().setOffline(offline);

test("1.1 add: the other browser shows it", async () => {
  const [a, b] = await both();
  const id = await a.add();
  await b.seesOnly(id);
  await same(a, b);
});

test("1.1 add: without a WebSocket too", async () => {
  const [a, b] = await Promise.all([device({ push: false }), device({ push: false })]);
  const id = await a.add();
  await b.seesOnly(id);
  assert.notEqual((await b.status()).connection, "push");
  await same(a, b);
});

test("1.2 delete: it goes in the other browser", async () => {
  const [a, b] = await both();
  const [gone, stays] = [await a.add(0), await a.add(1)];
  await b.seesOnly(gone, stays);
  await a.remove(gone);
  await b.seesOnly(stays);
  await same(a, b);
});

test("2.1 both add at once: both are there", async () => {
  const [a, b] = await both();
  const [x, y] = await Promise.all([a.add(0), b.add(1)]);
  await Promise.all([a.seesOnly(x, y), b.seesOnly(x, y)]);
  await same(a, b);
});

test("2.2 one edits, one deletes: deletion wins, and the editor is told", async () => {
  const [a, b] = await both();
  const id = await a.add();
  await b.seesOnly(id);
  await go(a, true);
  await a.write(id, "description", "sunset");
  await b.remove(id);
  await b.saved();
  await go(a, false);
  await Promise.all([a.seesOnly(), b.seesOnly()]);
  await a.page.getByTestId("superseded").waitFor();
  await same(a, b);
});

test("2.3 both write one description: the newer wins, the other is shown as lost", async () => {
  const [a, b] = await both();
  const id = await a.add();
  await b.seesOnly(id);
  await go(a, true);
  await a.write(id, "description", "sunset");
  await b.later(Date.now());
  await b.write(id, "description", "harbour");
  await b.saved();
  await go(a, false);
  await Promise.all([a.seesText(id, "description", "harbour"), b.seesText(id, "description", "harbour")]);
  await a.page.getByTestId("superseded").waitFor();
  await same(a, b);
});

test("3.1 add, then reload the other", async () => {
  const [a, b] = await both();
  const id = await a.add();
  await a.write(id, "photoNumber", "12");
  await a.saved();
  await b.reload();
  await b.seesText(id, "photoNumber", "12");
  await same(a, b);
});

test("3.2 delete, then reload the other", async () => {
  const [a, b] = await both();
  const id = await a.add();
  await b.seesOnly(id);
  await a.remove(id);
  await a.saved();
  await b.reload();
  await b.seesOnly();
  await same(a, b);
});

test("3.3 many edits on their way, then reload: all of them", async () => {
  const [a, b] = await both();
  const [x, y] = [await a.add(0), await a.add(1)];
  await a.write(x, "description", "sunset");
  await a.remove(y);
  await a.turn();
  const z = await a.add(2);
  await b.reload();
  await b.seesOnly(x, z);
  const rows = await same(a, b);
  assert.deepEqual(rows.map(({ id }) => id), [z, x], "newest first");
  assert.equal(await b.sort(), "desc");
});

test("4.1 4.2 offline: edits are queued, and sent when the network is back", async () => {
  const [a, b] = await both();
  await go(a, true);
  const [x, y] = [await a.add(0), await a.add(1)];
  await a.says({ pending: "2", connection: "offline" });
  await b.seesOnly();
  await go(a, false);
  await b.seesOnly(x, y);
  await same(a, b);
});

test("4.3 a save fails: it is kept and tried again", async () => {
  const [a, b] = await both();
  await daemon.down("SIGKILL");
  const id = await a.add();
  await a.write(id, "description", "sunset");
  await a.says({ connection: "offline" });
  assert.notEqual((await a.status()).pending, "0");
  await daemon.up();
  await b.seesText(id, "description", "sunset");
  await same(a, b);
});

test("5.1 added and deleted before it was saved: it never comes back", async () => {
  const [a, b] = await both();
  await go(a, true);
  const id = await a.add();
  await a.remove(id);
  await go(a, false);
  await a.saved();
  await Promise.all([a.reload(), b.reload()]);
  await Promise.all([a.seesOnly(), b.seesOnly()]);
  const log = await daemon.tell("log");
  assert.match(log, /add/i, "both are in the log");
  await same(a, b);
});

test("5.2 text being typed survives a network that fails", async () => {
  const [a, b] = await both();
  const id = await a.add();
  await b.seesOnly(id);
  await go(a, true);
  const input = a.field(id, "description");
  await input.click();
  await input.pressSequentially("sun");
  await b.write(id, "photoNumber", "7");
  await input.pressSequentially("set");
  assert.equal(await input.inputValue(), "sunset");
  await go(a, false);
  await a.seesText(id, "photoNumber", "7");
  assert.equal(await input.inputValue(), "sunset", "the focused text was not touched");
  await b.seesText(id, "description", "sunset");
  await same(a, b);
});

test("5.3 many edits in quick succession: every one is kept", async () => {
  const [a, b] = await both();
  const id = await a.add();
  for (let i = 0; i < 12; i++) await a.write(id, "description", `sunset ${i}`);
  await b.seesText(id, "description", "sunset 11");
  await same(a, b);
  const log = await daemon.tell("log", "--json");
  for (let i = 0; i < 12; i++) assert.ok(log.includes(`sunset ${i}`), `"sunset ${i}" is in the log`);
});
