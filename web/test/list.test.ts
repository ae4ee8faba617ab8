/** The list as an application sees it: snapshots, writes, batches, mistakes. */
import { expect, test } from "vitest";
import type { Item, List, Superseded } from "../src/index.js";
import { openList } from "../src/index.js";
import { core } from "./core.js";
import { FakeBrowser, FakeClock, FakeServer, Tab, settle, type Fields } from "./fakes.js";

async function offline(): Promise<Tab> {
  const server = new FakeServer(new FakeClock());
  server.down = true;
  return Tab.open(new FakeBrowser(), server);
}
async function live(): Promise<Tab> {
  const tab = await Tab.open(new FakeBrowser(), new FakeServer(new FakeClock()));
  await tab.server.clock.advance(100);
  return tab;
}
const ids = (list: List<Fields>): string[] => list.items.snapshot().map(({ id }) => id);

test("snapshots are immutable, stable, and share what did not change", async () => {
  const { list } = await offline();
  const before = list.items.snapshot();
  let calls = 0;
  const stop = list.items.subscribe(() => calls++);
  let a = "",
    b = "";
  expect(
    list.batch(() => {
      a = list.add("1.jpg").id;
      b = list.add("2.jpg").id;
    }),
  ).toBe("ok");
  expect(calls).toBe(1);
  expect(before).toEqual([]);
  expect(list.items.snapshot()).toBe(list.items.snapshot());
  expect(Object.isFrozen(list.items.snapshot()) && Object.isFrozen(list.items.snapshot()[0])).toBe(
    true,
  );

  const kept = list.item(b).snapshot();
  const order = list.ids.snapshot();
  expect(list.update(a, { description: "north wall", photoNumber: "12" })).toBe("ok");
  expect(list.update(a, { description: null })).toBe("ok");
  expect(list.item(a).snapshot()).toEqual({ id: a, imageId: "1.jpg", photoNumber: "12" });
  expect(list.items.snapshot()[1]).toBe(kept);
  expect(list.ids.snapshot()).toBe(order);
  expect(calls).toBe(3);

  list.setSort("desc");
  expect(ids(list)).toEqual([b, a]);
  list.setSort("desc"); // a write all the same: it says "still so, now"
  expect(list.status.snapshot().pending).toBe(6);

  expect(list.remove(a)).toBe("ok");
  expect(list.update(a, { description: "too late" })).toBe("gone");
  expect(list.remove(a)).toBe("gone");
  expect(list.remove("never-heard-of")).toBe("gone");
  expect(list.status.snapshot().pending).toBe(7);
  stop();
  const told = calls;
  list.add("5.jpg");
  expect(calls).toBe(told);
});

test("the empty string is a value, null is none", async () => {
  const { list } = await offline();
  const { id } = list.add("p", { description: "", photoNumber: null });
  expect(list.item(id).snapshot()).toEqual({ id, imageId: "p", description: "" });
});

test("one edit tells one item", async () => {
  const { list } = await offline();
  const a = list.add("a").id,
    b = list.add("b").id;
  const told: string[] = [];
  list.item(a).subscribe(() => told.push("a"));
  list.item(b).subscribe(() => told.push("b"));
  list.ids.subscribe(() => told.push("ids"));
  list.update(b, { description: "x" });
  expect(told).toEqual(["b"]);
  list.remove(a);
  expect(told).toEqual(["b", "a", "ids"]);
  expect(list.item(a).snapshot()).toBeUndefined();
});

test("one edit tells one receipt", async () => {
  const { list } = await offline();
  const a = list.add("a").id,
    b = list.add("b").id;
  await settle();
  const told: string[] = [];
  list.receipt(a).subscribe(() => told.push("a"));
  list.receipt(b).subscribe(() => told.push(`b ${list.receipt(b).snapshot()}`));
  list.update(b, { description: "x" });
  await settle();
  expect(told).toEqual(["b kept", "b disk"]);
});

test("a batch that throws did not happen, and nobody hears of it", async () => {
  const { list } = await offline();
  const { id } = list.add("1.jpg", { description: "one" });
  const [items, item, status] = [
    list.items.snapshot(),
    list.item(id).snapshot(),
    list.status.snapshot(),
  ];
  let calls = 0;
  for (const readable of [list.items, list.ids, list.sort, list.status, list.item(id)])
    readable.subscribe(() => calls++);
  const fail = (): void => {
    list.add("3.jpg");
    list.update(id, { description: "changed" });
    list.setSort("desc");
    expect(list.item(id).snapshot()?.description).toBe("changed"); // seen inside
    expect(list.items.snapshot().map(({ imageId }) => imageId)).toContain("3.jpg");
    expect(list.sort.snapshot()).toBe("desc");
    throw new Error("app bug");
  };
  expect(() => list.batch(fail)).toThrow("app bug");
  expect(list.items.snapshot()).toBe(items);
  expect(list.item(id).snapshot()).toBe(item);
  expect(list.status.snapshot()).toBe(status);
  expect(list.sort.snapshot()).toBe("asc");
  expect(calls).toBe(0);

  let four = "";
  list.batch(() => {
    four = list.add("4.jpg").id;
    expect(() => list.batch(fail)).toThrow("app bug"); // falls alone
    list.update(four, { photoNumber: "4" });
  });
  expect(list.items.snapshot()).toEqual([item, { id: four, imageId: "4.jpg", photoNumber: "4" }]);
  expect(list.sort.snapshot()).toBe("asc");
});

test("a batch that throws leaves the same objects, also where nobody listens", async () => {
  const { list } = await offline();
  const { id } = list.add("p", { description: "one" });
  const [items, item] = [list.items.snapshot(), list.item(id).snapshot()];
  expect(() =>
    list.batch(() => {
      list.update(id, { description: "two" });
      expect(list.items.snapshot()[0]?.description).toBe("two");
      throw new Error("app bug");
    }),
  ).toThrow("app bug");
  expect(list.item(id).snapshot()).toBe(item);
  expect(list.items.snapshot()).toBe(items);
});

test("a batch is one record, and comes back whole", async () => {
  const tab = await offline();
  tab.list.batch(() => {
    for (let i = 0; i < 100; i++) tab.list.add(`p${i}`);
  });
  expect([...tab.browser.local.keys()].filter((key) => key.startsWith("op/"))).toHaveLength(1);
  const shown = ids(tab.list);
  tab.kill();
  const next = await Tab.open(tab.browser, tab.server);
  expect(ids(next.list)).toEqual(shown);
  expect(next.status.pending).toBe(100);
});

test("the 101st edit of a batch throws, and none is made", async () => {
  const { list } = await offline();
  expect(() =>
    list.batch(() => {
      for (let i = 0; i < 101; i++) list.add(`p${i}`);
    }),
  ).toThrow(/too many edits in a batch/);
  expect(list.items.snapshot()).toEqual([]);
  expect(list.status.snapshot().pending).toBe(0);
});

test("mistakes throw where they are made, and say what to do", async () => {
  const { list } = await offline();
  const { id } = list.add("p");
  const pending = list.status.snapshot().pending;
  const loose = list as unknown as List<string>;
  for (const [mistake, says] of [
    [() => list.update(id, {}), /empty: an update needs a field/],
    [() => list.update(id, { description: "x".repeat(4097) }), /description.*4097.*4096/],
    [() => list.update(id, { description: "ä".repeat(2049) }), /description.*4098.*4096/],
    [() => list.update(id, { description: "\ud800" }), /description/],
    [
      () => loose.update(id, { description: 7 as never }),
      /description must be null or whole characters/,
    ],
    [() => loose.update(id, { "no-name": "x" }), /"no-name"/],
    [() => loose.update(id, { imageId: "x" }), /imageId/],
    [() => list.add(""), /imageId/],
    [() => list.add("x".repeat(129)), /imageId/],
    [() => list.setSort("up" as never), /sort: asc or desc/],
    [() => list.batch(async () => {}), /async/],
    [() => list.retry("none"), /there is no "none"/],
  ] as const) {
    expect(mistake, String(mistake)).toThrow(says);
  }
  expect(list.update(id, { description: "x".repeat(4096) })).toBe("ok");
  expect(list.status.snapshot().pending).toBe(pending + 1);
});

test("names of fields are checked, if they were given", async () => {
  const server = new FakeServer(new FakeClock());
  const tab = await Tab.open(new FakeBrowser(), server, { fields: ["photoNumber", "description"] });
  const list = tab.list as unknown as List<string>;
  expect(() => list.add("p", { photonumber: "1" })).toThrow(
    '"photonumber" is none of photoNumber, description',
  );
});

test("a typo in a field's name does not compile", async () => {
  const { list } = await offline();
  const { id } = list.add("p", { photoNumber: "1" });
  // @ts-expect-error -- no such field
  list.update(id, { photonumber: "1" });
  // @ts-expect-error -- nor in an item
  expect(list.item(id).snapshot()?.photonumber).toBe("1"); // loose at run time: no `fields`
  // @ts-expect-error -- cleared is null; undefined would mean "as it was"
  list.update(id, { photoNumber: "2", description: undefined });
});

test("a server that takes the token for somebody else's is a problem with a name", async () => {
  const server = new FakeServer(new FakeClock(), "ann");
  const tab = await Tab.open(new FakeBrowser(), server, { user: "eve" });
  const codes: string[] = [];
  tab.list.onProblem(({ code }) => codes.push(code));
  await server.clock.advance(1000);
  expect(codes).toEqual(["user"]);
  tab.list.add("p");
  await server.clock.advance(60_000);
  expect(server.rows).toEqual([]); // kept here, and sent to nobody's list
  expect(tab.status.pending).toBe(1);
});

test("boardsesh/boardsesh#4315: another user signs in: the first one's queue is kept, and sent when they are back", async () => {
  const clock = new FakeClock();
  const [browser, anns, bobs] = [
    new FakeBrowser(),
    new FakeServer(clock),
    new FakeServer(clock, "bob"),
  ];
  const scopes = new Map<string, FakeBrowser>();
  const openAs = (server: FakeServer): Promise<Tab> => {
    const tab: Tab = new Tab(browser, server);
    const own = (scope: string): FakeBrowser => {
      if (!scopes.has(scope)) scopes.set(scope, new FakeBrowser());
      return scopes.get(scope)!;
    };
    tab.more = {
      storage: {
        local: (scope) => own(scope).localStore(tab),
        disk: async (scope) => own(scope).diskStore(),
        locks: (scope) => own(scope).locks(tab),
        persist: async () => true,
      },
    };
    return tab.start().then(() => tab);
  };
  anns.down = true;
  const ann = await openAs(anns);
  ann.list.add("ann's");
  await ann.list.close();
  const bob = await openAs(bobs);
  expect(bob.list.items.snapshot()).toEqual([]);
  bob.list.add("bob's");
  await clock.advance(5000);
  expect(bobs.rows.map(({ op }) => op["imageId"])).toEqual(["bob's"]);
  await bob.list.close();
  anns.down = false;
  await openAs(anns);
  await clock.advance(5000);
  expect(anns.rows.map(({ op }) => op["imageId"])).toEqual(["ann's"]);
  expect(bobs.rows).toHaveLength(1);
});

test.each([
  [{ list: "Photos" }, /list: 1 to 64/],
  [{ list: "" }, /list: 1 to 64/],
  [{ user: "" }, /whose list/],
  [{ url: "ftp://x.example" }, /url: write it like/],
  [{ url: "nonsense" }, /url: write it like/],
  [{ url: "http://x.example/?token=1" }, /url: write it like/],
  [{ url: "http://me:pw@x.example" }, /url: write it like/],
  [{ fields: ["id" as Fields] }, /field-name: "id"/],
])("openList(%j) throws", async (wrong, says) => {
  const right = { url: "http://server.example", user: "ann", list: "photos", core: core() };
  await expect(openList<Fields>({ ...right, ...wrong })).rejects.toThrow(says);
});

test("hostile ids are ids", async () => {
  const hostile = [
    "__proto__",
    "constructor",
    "toString",
    "a\u0000b",
    "\u{1f600}",
    " ",
    "\ufeffx",
    "<img onerror>",
  ];
  const server = new FakeServer(new FakeClock());
  const left = [...hostile];
  const tab = await Tab.open(new FakeBrowser(), server, { newId: () => left.shift()! });
  for (const id of hostile) expect(tab.list.add(id, { description: id }).id).toBe(id);
  expect(ids(tab.list)).toEqual(hostile);
  for (const id of hostile) {
    expect(tab.list.item(id).snapshot()).toEqual({ id, imageId: id, description: id });
    expect(tab.list.receipt(id).snapshot()).toBe("kept");
  }
  await server.clock.advance(5000);
  expect(server.rows.map(({ op }) => op["instanceId"])).toEqual(hostile);
});

test("a status that says the same is the same object", async () => {
  const tab = await live();
  const { list } = tab;
  const { id } = list.add("p");
  await tab.server.clock.advance(200);
  const status = list.status.snapshot();
  let calls = 0;
  list.status.subscribe(() => calls++);
  tab.server.write({ type: "UPDATE_METADATA", instanceId: id, data: { photoNumber: "9" } });
  await settle();
  expect(tab.field(id, "photoNumber")).toBe("9");
  expect(list.status.snapshot()).toBe(status);
  expect(calls).toBe(0);
});

test("what others write comes in and keeps the rest; a listener may write", async () => {
  const tab = await live();
  const { list, server } = tab;
  const mine = list.add("mine").id;
  await server.clock.advance(100);
  const kept = list.item(mine).snapshot();
  const seen: (readonly Item<Fields>[])[] = [];
  let answered = false;
  list.items.subscribe(() => {
    seen.push(list.items.snapshot());
    if (!answered) {
      answered = true;
      list.add("from the listener");
    }
  });
  server.write({ type: "ADD", instanceId: "theirs", imageId: "t" });
  await server.clock.advance(100);
  expect(list.items.snapshot().map(({ imageId }) => imageId)).toEqual([
    "mine",
    "t",
    "from the listener",
  ]);
  expect(list.items.snapshot()[0]).toBe(kept);
  expect(seen.at(-1)).toBe(list.items.snapshot());
});

test("a listener that throws does not keep the others from being told", async () => {
  const { list } = await offline();
  const errors: unknown[] = [];
  process.once("uncaughtException", (error) => errors.push(error));
  let calls = 0;
  list.items.subscribe(() => {
    throw new Error("a listener's own");
  });
  list.items.subscribe(() => calls++);
  list.add("p");
  await settle();
  expect(calls).toBe(1);
  expect(String(errors[0])).toContain("a listener's own");
});

test("an own value that lost is told, when its window is over", async () => {
  const tab = await live();
  const { list, server } = tab;
  const { id } = list.add("p", { description: "mine" });
  await server.clock.advance(1000);
  const told: Superseded<Fields>[] = [];
  list.onSuperseded((superseded) => told.push(superseded));
  server.write({ type: "UPDATE_METADATA", instanceId: id, data: { description: "theirs" } });
  await settle();
  expect(tab.field(id, "description")).toBe("mine"); // SEMANTICS 7: 5 s
  await server.clock.advance(5000);
  expect(tab.field(id, "description")).toBe("theirs");
  expect(told).toEqual([
    { kind: "field", item: id, field: "description", mine: "mine", winner: "theirs" },
  ]);
  server.write({ type: "DELETE", instanceId: id });
  await server.clock.advance(5000);
  expect(list.items.snapshot()).toEqual([]);
});

test("a refused edit is a dead letter: shown, retried, discarded; nothing waits behind it", async () => {
  const tab = await live();
  const { list, server } = tab;
  const { id } = list.add("p");
  await server.clock.advance(100);
  server.reject = (op) => (op.type === "UPDATE_METADATA" ? "refused-by-policy" : undefined);
  list.update(id, { description: "no" });
  const later = list.add("behind it").id;
  await list.flush();
  const [letter] = list.deadLetters.snapshot();
  expect(letter).toMatchObject({
    type: "UPDATE_METADATA",
    code: "refused-by-policy",
    item: id,
    data: { description: "no" },
  });
  expect(list.status.snapshot()).toMatchObject({ deadLetters: 1, pending: 0 });
  expect(server.rows.at(-1)?.op["instanceId"]).toBe(later);
  const letters = list.deadLetters.snapshot();
  list.update(later, { photoNumber: "1" });
  await settle();

  server.reject = () => undefined;
  expect(list.retry(letters[0]!.id)).toBe("ok");
  expect(list.deadLetters.snapshot().some((other) => other.id === letters[0]!.id)).toBe(false);
  await list.flush();
  expect(server.field(id, "description")).toBe("no");

  server.reject = () => "refused-by-policy";
  list.update(id, { description: "never" });
  await list.flush();
  list.discard(list.deadLetters.snapshot().at(-1)!.id);
  server.reject = () => undefined;
  await list.flush();
  expect(server.field(id, "description")).toBe("no");
});

test("flush waits for the server; close does not, and loses nothing", async () => {
  const tab = await live();
  const { list, server, browser } = tab;
  list.add("a");
  await list.flush();
  expect(server.rows).toHaveLength(1);
  server.down = true;
  server.stop();
  list.add("b");
  let flushed: unknown;
  const flush = list.flush().catch((error: unknown) => (flushed = error));
  await server.clock.advance(5000);
  expect(flushed).toBeUndefined();
  await list.close();
  await flush;
  expect(String(flushed)).toContain("closed");
  expect(list.items.snapshot()).toHaveLength(2); // can still be read
  expect(() => list.add("c")).toThrow("closed");
  server.down = false;
  const next = await Tab.open(browser, server);
  await server.clock.advance(1000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["a", "b"]);
  await next.list.close();
});

test("a loop of edits travels together", async () => {
  const tab = await live();
  for (let i = 0; i < 50; i++) tab.list.add(`p${i}`);
  await tab.server.clock.advance(100);
  const saves = tab.server.frames.filter(({ type }) => type === "SAVE");
  expect(saves).toHaveLength(1);
  expect(tab.server.rows).toHaveLength(50);
});
