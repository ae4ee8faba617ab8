// What goes wrong around a page: no network at reload, a server that is killed, tabs that
// close, hostile text. fire.test.mjs has what happens to the browser itself.
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

async function context() {
  const made = await browser.newContext();
  contexts.push(made);
  return made;
}
const device = async () => Labeler.open(await context(), daemon.url);

/** The service worker holds the page: it can be opened without a network from now on. */
const installed = (labeler) =>
  labeler.page.evaluate(async () => {
    const { serviceWorker } = navigator;
    const taken = new Promise((done) => serviceWorker.addEventListener("controllerchange", done));
    await serviceWorker.ready;
    if (serviceWorker.controller === null) await taken;
  });

test("reload while offline: the page opens and shows what was kept", async () => {
  const [a, b] = [await device(), await device()];
  await installed(a);
  const id = await a.add();
  await a.saved();
  await a.page.context().setOffline(true);
  await a.write(id, "description", "on the train");
  await a.says({ pending: "1" });
  await a.reload();
  await a.seesText(id, "description", "on the train");
  await a.says({ pending: "1", connection: "offline" });
  await a.page.context().setOffline(false);
  await b.seesText(id, "description", "on the train");
  await same(a, b);
});

test("the server is gone while the page is reloaded", async () => {
  const a = await device();
  await installed(a);
  const id = await a.add();
  await daemon.down("SIGKILL");
  await a.write(id, "description", "kept");
  await a.reload();
  await a.seesText(id, "description", "kept");
  await daemon.up();
  await a.saved();
  assert.match(await daemon.tell("state"), /kept/);
});

test("the server is killed in mid-edit, again and again: nothing is lost", async () => {
  const [a, b] = [await device(), await device()];
  const ids = [];
  for (let round = 0; round < 3; round++) {
    const edits = (async () => {
      const id = await a.add(round);
      ids.push(id);
      await a.write(id, "description", `round ${round}`);
    })();
    await daemon.down("SIGKILL");
    await edits;
    await daemon.up();
  }
  await a.saved();
  await b.seesOnly(...ids);
  const rows = await same(a, b);
  assert.deepEqual(rows.map(({ description }) => description), ["round 0", "round 1", "round 2"]);
  await daemon.tell("verify");
});

test("the server is asked to stop: it ends well, and the pages come back", async () => {
  const a = await device();
  await a.add();
  await a.saved();
  assert.equal(await daemon.down("SIGTERM"), 0);
  await a.says({ connection: "offline" });
  await daemon.up();
  await a.says({ connection: "push", phase: "live" });
});

test("a tab is closed with edits on their way: the next one sends them", async () => {
  const device = await context();
  const a = await Labeler.open(device, daemon.url);
  await installed(a);
  await daemon.down("SIGKILL");
  const id = await a.add();
  await a.write(id, "description", "orphan");
  await a.close();
  const next = await Labeler.open(device, daemon.url);
  await next.seesText(id, "description", "orphan");
  await daemon.up();
  await next.saved();
  assert.match(await daemon.tell("state"), /orphan/);
});

test("two tabs of one browser: one closes, the other sends what it left", async () => {
  const device = await context();
  const [a, b] = [await Labeler.open(device, daemon.url), await Labeler.open(device, daemon.url)];
  await daemon.down("SIGKILL");
  const id = await a.add();
  await a.write(id, "description", "inherited");
  await a.close();
  await b.seesText(id, "description", "inherited");
  await daemon.up();
  await b.saved();
  assert.match(await daemon.tell("state"), /inherited/);
});

test("hostile text is text", async () => {
  const [a, b] = [await device(), await device()];
  const hostile = `<img src=x onerror="alert(1)"></script>javascript:alert(1) \u202e __proto__`;
  let alerts = 0;
  for (const { page } of [a, b]) page.on("dialog", (dialog) => (alerts++, void dialog.dismiss()));
  const id = await a.add();
  await a.write(id, "description", hostile);
  await b.seesText(id, "description", hostile);
  assert.equal(alerts, 0);
  await same(a, b);
});

test("an edit that another browser has seen says so", async () => {
  const [a, b] = [await device(), await device()];
  const id = await a.add();
  await b.seesOnly(id);
  await a.sees("the receipt `seen`", (rows, row) => rows.some((one) => one.id === row && one.receipt === "seen"), id);
});
