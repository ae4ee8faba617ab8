/** The rescue file: everything that the server has not, out of one browser and into another. */
import { expect, test } from "vitest";
import { exportRescue, importRescue, type Rescue } from "../src/rescue.js";
import { FakeBrowser, FakeClock, FakeServer, Tab, settle } from "./fakes.js";

function world(): { server: FakeServer; browser: FakeBrowser; clock: FakeClock } {
  const clock = new FakeClock();
  return { clock, server: new FakeServer(clock), browser: new FakeBrowser() };
}
const of = (text: string): Rescue => JSON.parse(text) as Rescue;
const images = (tab: Tab): string[] => tab.list.items.snapshot().map(({ imageId }) => imageId);
const sent = (server: FakeServer): unknown[] => server.rows.map(({ op }) => op["imageId"]);

/** A page whose storage refuses everything, with two edits. */
async function refused(): Promise<{ tab: Tab; id: string; text: string; server: FakeServer }> {
  const { server, browser } = world();
  server.down = true;
  const tab = await Tab.open(browser, server);
  browser.full = browser.diskFull = true;
  const { id, written } = tab.list.add("p", { description: "only in memory" });
  expect(written).toBe("volatile");
  tab.list.add("q");
  await settle();
  expect(tab.status.storage).toEqual({ local: "refuses", disk: "refuses" });
  return { tab, id, server, text: await exportRescue(tab.list) };
}

test("storage refuses: the file has what is only in memory, and another browser sends it", async () => {
  const { id, server, text } = await refused();
  expect(of(text)).toMatchObject({
    format: "tidemark-rescue",
    version: 1,
    user: "ann",
    list: "photos",
    operations: [
      { type: "ADD", instanceId: id, imageId: "p", data: { description: "only in memory" } },
      { type: "ADD", imageId: "q" },
    ],
  });
  server.down = false;
  const other = await Tab.open(new FakeBrowser(), server);
  expect(await importRescue(other.list, text)).toEqual({ added: 2, known: 0 });
  expect(images(other)).toEqual(["p", "q"]);
  expect(other.field(id, "description")).toBe("only in memory");
  await server.clock.advance(60_000);
  expect(server.rows.map(({ op }) => op.id)).toEqual(of(text).operations.map((op) => op.id));
  expect(server.rows.map(({ op }) => op.timestamp)).toEqual(
    of(text).operations.map((op) => op["timestamp"]),
  );
  expect(other.status).toMatchObject({ pending: 0, safeToClose: true });
});

test("taken in twice, in two browsers, and after it arrived all the same: once", async () => {
  const { tab, server, text } = await refused();
  const one = await Tab.open(new FakeBrowser(), server);
  const two = await Tab.open(new FakeBrowser(), server);
  expect(await importRescue(one.list, text)).toEqual({ added: 2, known: 0 });
  expect(await importRescue(one.list, text)).toEqual({ added: 0, known: 2 });
  expect(await importRescue(two.list, text)).toEqual({ added: 2, known: 0 });
  server.down = false;
  await server.clock.advance(120_000);
  expect(sent(server).sort()).toEqual(["p", "q"]);
  await importRescue(one.list, text); // known to nobody here any more, but to the server
  await server.clock.advance(120_000);
  expect(sent(server).sort()).toEqual(["p", "q"]);
  for (const page of [tab, one, two]) {
    expect(images(page)).toEqual(["p", "q"]);
    expect(page.status.pending).toBe(0);
  }
});

test("what is stored is in it, of other pages and dead ones too; what was accepted is not", async () => {
  const { server, browser, clock } = world();
  const tab = await Tab.open(browser, server);
  tab.list.add("accepted");
  await clock.advance(5000);
  server.down = true;
  server.stop();
  tab.list.batch(() => {
    tab.list.add("mine");
    tab.list.add("mine, too");
  });
  const dead = await Tab.open(browser, server);
  dead.list.add("of a dead page");
  await settle();
  dead.kill();
  const living = await Tab.open(browser, server);
  living.list.add("of a living page");
  await settle();
  const { operations } = of(await exportRescue(tab.list));
  expect(operations.map(({ imageId }) => imageId).sort()).toEqual([
    "mine",
    "mine, too",
    "of a dead page",
    "of a living page",
  ]);
  server.down = false;
  await clock.advance(120_000);
  expect(of(await exportRescue(tab.list)).operations).toEqual([]);
});

test("what storage says of an operation is believed: accepted, decided, damaged", async () => {
  const { server, browser } = world();
  server.down = true;
  await browser.locks({}).take("w"); // another page's: nothing here takes care of it
  const entry = (version: number, more: object = {}): string =>
    JSON.stringify({
      writer: "w",
      generation: 0,
      operations: [{ id: `o${version}`, type: "ADD", browserId: "w", version, ...more }],
    });
  browser.local.set("writer/w", '{"next":9,"decided":3}');
  browser.disk.set("writer/w", '{"next":9,"decided":2}');
  browser.local.set("op/o3", entry(3)); // decided
  browser.local.set("op/o4", entry(4)); // accepted, as the disk knows
  browser.disk.set("op/o4", entry(4, { seq: 7 }));
  browser.local.set("op/o5", entry(5)); // open
  browser.local.set("op/o6", "{"); // damaged
  const tab = await Tab.open(browser, server);
  const { operations } = of(await exportRescue(tab.list));
  expect(operations.map(({ id }) => id)).toEqual(["o5"]);
});

test("drafts are written first", async () => {
  const { server, browser } = world();
  server.down = true;
  const tab = await Tab.open(browser, server);
  const { id } = tab.list.add("p");
  const done = tab.list.holdDraft(() => {
    done();
    tab.list.update(id, { description: "being typed" });
  });
  expect(await exportRescue(tab.list)).toContain("being typed");
});

test("taken in, it survives the page before it was sent", async () => {
  const { server, text } = await refused();
  const browser = new FakeBrowser();
  const first = await Tab.open(browser, server);
  await importRescue(first.list, text);
  first.kill();
  const next = await Tab.open(browser, server);
  expect(images(next)).toEqual(["p", "q"]);
  next.list.add("r");
  server.down = false;
  await server.clock.advance(60_000);
  expect(sent(server).sort()).toEqual(["p", "q", "r"]);
  const keys = [...browser.local.keys(), ...browser.disk.keys()];
  expect(keys.filter((key) => key.startsWith("op/"))).toEqual([]);
});

test.each([
  ["only localStorage takes it", { diskFull: true }],
  ["only IndexedDB takes it", { full: true }],
])("%s", async (_name, state) => {
  const { server, text } = await refused();
  const browser = new FakeBrowser();
  const tab = await Tab.open(browser, server);
  Object.assign(browser, state);
  expect(await importRescue(tab.list, text)).toEqual({ added: 2, known: 0 });
  expect(images(tab)).toEqual(["p", "q"]);
  server.down = false;
  await server.clock.advance(60_000);
  expect(sent(server)).toEqual(["p", "q"]);
});

test("nothing takes it: said, and nothing is half taken", async () => {
  const { server, text } = await refused();
  const browser = new FakeBrowser();
  const tab = await Tab.open(browser, server);
  await settle();
  const before = [...browser.local.keys(), ...browser.disk.keys()].sort();
  browser.full = browser.diskFull = true;
  await expect(importRescue(tab.list, text)).rejects.toThrow("storage refuses; free some space");
  expect([...browser.local.keys(), ...browser.disk.keys()].sort()).toEqual(before);
  expect(images(tab)).toEqual([]);
});

test("an entry that is still there for others is not written over", async () => {
  const { server, browser, clock } = world();
  server.down = true;
  const tab = await Tab.open(browser, server);
  tab.list.batch(() => {
    tab.list.add("first");
    tab.list.add("second");
  });
  await settle();
  const text = await exportRescue(tab.list);
  const [entry = ""] = [...browser.disk.keys()].filter((key) => key.startsWith("op/"));
  tab.kill();
  // The first of the two was settled and is gone from the record, as the engine would leave it.
  const record = JSON.parse(browser.disk.get(entry) ?? "") as { operations: unknown[] };
  record.operations.shift();
  browser.disk.set(entry, JSON.stringify(record));
  browser.local.delete(entry);
  const next = await Tab.open(browser, server);
  expect(await importRescue(next.list, text)).toEqual({ added: 1, known: 1 });
  await settle();
  next.kill();
  await Tab.open(browser, server); // it has what is stored, and nothing else
  server.down = false;
  await clock.advance(60_000);
  expect(sent(server).sort()).toEqual(["first", "second"]);
});

const good = {
  format: "tidemark-rescue",
  version: 1,
  user: "ann",
  list: "photos",
  operations: [{ id: "x", type: "ADD", browserId: "b", version: 1 }],
};
test.each([
  ["no JSON", "photos.zip", "rescue-format", "this is no rescue file"],
  ["another JSON", "[]", "rescue-format", "this is no rescue file"],
  ["null", "null", "rescue-format", "this is no rescue file"],
  ["another user's", { ...good, user: "bob" }, "rescue-user", `"bob"'s, and this list is "ann"'s`],
  [
    "another list's",
    { ...good, list: "cats" },
    "rescue-list",
    `of the list "cats", not of "photos"`,
  ],
  ["a newer one", { ...good, version: 2 }, "rescue-version", "of version 2"],
  ["no operations", { ...good, operations: {} }, "rescue-format", "damaged"],
  [
    "a bad id",
    { ...good, operations: [{ ...good.operations[0], id: "a b" }] },
    "rescue-format",
    "damaged",
  ],
  [
    "one with a seq",
    { ...good, operations: [{ ...good.operations[0], seq: 1 }] },
    "rescue-format",
    "damaged",
  ],
  ["a null", { ...good, operations: [null] }, "rescue-format", "damaged"],
])("%s is refused, and nothing is taken in", async (_name, file, code, says) => {
  const { server, browser } = world();
  server.down = true;
  const tab = await Tab.open(browser, server);
  const before = browser.local.size + browser.disk.size;
  const text = typeof file === "string" ? file : JSON.stringify(file);
  const refusal = await importRescue(tab.list, text).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code });
  expect((refusal as Error).message).toContain(says);
  expect(browser.local.size + browser.disk.size).toBe(before);
});

test("an operation that no engine understands costs itself, and is told", async () => {
  const { server, browser, clock } = world();
  const tab = await Tab.open(browser, server);
  const problems: string[] = [];
  tab.list.onProblem(({ code }) => problems.push(code));
  const text = JSON.stringify({
    ...good,
    operations: [
      { ...good.operations[0], timestamp: "yesterday" },
      {
        id: "y",
        type: "ADD",
        instanceId: "i",
        imageId: "p",
        timestamp: 5,
        logical: 0,
        browserId: "b",
        version: 2,
      },
    ],
  });
  await importRescue(tab.list, text);
  await clock.advance(60_000);
  expect(problems).toContain("damage");
  expect(server.rows.map(({ op }) => op.id)).toEqual(["y"]);
});
