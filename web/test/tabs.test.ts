/** Writers and tabs: who may use a browserId, and who takes it over. DESIGN 1. */
import { expect, test } from "vitest";
import { leases } from "../src/writers.js";
import { FakeBrowser, FakeClock, FakeServer, Tab, settle } from "./fakes.js";

const writersIn = (browser: FakeBrowser): string[] =>
  [...new Set([...browser.local.keys(), ...browser.disk.keys()])].filter((key) =>
    key.startsWith("writer/"),
  );

test("two tabs have a writer each, and see each other through the server", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  const a = await Tab.open(browser, server);
  const b = await Tab.open(browser, server);
  const one = a.list.add("from a").id,
    two = b.list.add("from b").id;
  await server.clock.advance(1000);
  expect(new Set(server.rows.map(({ op }) => op.browserId)).size).toBe(2);
  expect(a.list.ids.snapshot()).toEqual(b.list.ids.snapshot());
  expect([...a.list.ids.snapshot()].sort()).toEqual([one, two].sort());
});

test("tabs opened one after the other share one writer", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  for (let i = 0; i < 4; i++) {
    const tab = await Tab.open(browser, server);
    tab.list.add(`p${i}`);
    await server.clock.advance(100);
    if (i % 2) tab.kill();
    else await tab.list.close();
  }
  expect(new Set(server.rows.map(({ op }) => op.browserId)).size).toBe(1);
  expect(writersIn(browser)).toHaveLength(1);
});

test("a tab holds the locks of its writers, and of no other", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  const a = await Tab.open(browser, server);
  a.list.add("p");
  await settle();
  expect(browser.locked).toHaveLength(1);
  await a.list.close();
  expect(browser.locked).toEqual([]);
  await Tab.open(browser, server); // adopts
  expect(browser.locked).toHaveLength(1);
});

test("two tabs that both die offline leave both queues to the next", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  server.down = true;
  const a = await Tab.open(browser, server);
  const b = await Tab.open(browser, server);
  a.list.add("from a");
  b.list.add("from b");
  a.kill();
  b.kill();
  const c = await Tab.open(browser, server);
  expect(
    c.list.items
      .snapshot()
      .map(({ imageId }) => imageId)
      .sort(),
  ).toEqual(["from a", "from b"]);
  expect(c.status.pending).toBe(2);
  server.down = false;
  await server.clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"]).sort()).toEqual(["from a", "from b"]);
});

test("a living tab takes over the queue of one that dies", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  server.down = true;
  const a = await Tab.open(browser, server);
  const b = await Tab.open(browser, server); // knows a from the start
  b.list.add("from b");
  const c = await Tab.open(browser, server); // a hears of it only now
  c.list.add("from c");
  await settle();
  expect(a.list.items.snapshot()).toEqual([]);
  b.kill();
  c.kill();
  await settle();
  expect(
    a.list.items
      .snapshot()
      .map(({ imageId }) => imageId)
      .sort(),
  ).toEqual(["from b", "from c"]);
  expect(a.status.pending).toBe(2);
  server.down = false;
  await server.clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"]).sort()).toEqual(["from b", "from c"]);
  expect(new Set(server.rows.map(({ op }) => op.id)).size).toBe(2);
});

test("what a tab wrote between being found and being adopted is adopted, too", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  server.down = true;
  const a = await Tab.open(browser, server);
  a.list.add("early");
  await settle();
  const b: Tab = new Tab(browser, server);
  const locks = browser.locks(b);
  const take = async (name: string): ReturnType<typeof locks.take> => {
    if (a.alive && browser.locked.includes(name)) {
      a.list.add("late");
      a.kill();
    }
    return locks.take(name);
  };
  b.more = {
    storage: {
      local: () => browser.localStore(b),
      disk: async () => browser.diskStore(),
      locks: () => ({ ...locks, take }),
      persist: async () => true,
    },
  };
  await b.start();
  expect(b.list.items.snapshot().map(({ imageId }) => imageId)).toEqual(["early", "late"]);
});

test("an entry whose writer's record was lost is adopted all the same", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  server.down = true;
  const a = await Tab.open(browser, server);
  a.list.add("kept");
  await settle();
  a.kill();
  for (const key of writersIn(browser)) {
    browser.local.delete(key);
    browser.disk.delete(key);
  }
  const b = await Tab.open(browser, server);
  server.down = false;
  await server.clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["kept"]);
  expect(b.list.items.snapshot()).toHaveLength(1);
});

test("two tabs store into one disk: the later state stands, nobody goes back", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  const a = await Tab.open(browser, server);
  const b = await Tab.open(browser, server);
  for (let i = 0; i < 20; i++) {
    (i % 2 ? a : b).list.add(`p${i}`);
    await server.clock.advance(i * 7);
  }
  await server.clock.advance(5000);
  const stored = JSON.parse(browser.disk.get("state") ?? "{}") as { cursor: number };
  expect(stored.cursor).toBe(20);
  a.kill();
  b.kill();
  server.down = true;
  const c = await Tab.open(browser, server);
  expect(c.list.items.snapshot()).toHaveLength(20);
  expect(c.status.pending).toBe(0);
});

test("a writer that becomes free while C is read again is adopted after that, not lost", async () => {
  const server = new FakeServer(new FakeClock());
  const browser = new FakeBrowser();
  const a: Tab = new Tab(browser, server);
  let open = (): void => {};
  let gate: Promise<void> | undefined;
  let gated = 0;
  a.more = {
    storage: {
      local: () => browser.localStore(a),
      locks: () => browser.locks(a),
      persist: async () => true,
      disk: async () => {
        const disk = browser.diskStore();
        const load = disk.load;
        disk.load = async () => {
          if (gate) gated++;
          if (gated === 1) await gate; // the reload; who adopts meanwhile reads at once
          return load();
        };
        return disk;
      },
    },
  };
  await a.start();
  const cut = { socket: null, fetch: () => Promise.reject(new TypeError("no network")) };
  const b = await Tab.open(browser, server, cut);
  await server.clock.advance(100);
  b.list.add("from b");
  await settle();
  // Another page has stored a newer generation: the next commit of `a` is superseded.
  const state = JSON.parse(browser.disk.get("state") ?? '{"cursor":0,"mark":""}') as object;
  browser.disk.set("state", JSON.stringify({ ...state, generation: 9 }));
  browser.disk.set("base", '{"version":0,"state":{"items":[]},"unknown":[]}');
  gate = new Promise((resolve) => (open = resolve));
  a.list.add("from a");
  await server.clock.advance(5000);
  expect(gated).toBe(1);
  b.kill();
  await settle();
  open();
  await server.clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"]).sort()).toEqual(["from a", "from b"]);
});

// ---- Leases: where there are no Web Locks ------------------------------------------------

function leaseWorld(): {
  clock: FakeClock;
  browser: FakeBrowser;
  make: (name: string) => ReturnType<typeof leases>;
} {
  const clock = new FakeClock();
  const browser = new FakeBrowser();
  return { clock, browser, make: (name) => leases(browser.localStore({}), clock, () => name) };
}
async function answer<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let done = false;
  void promise.finally(() => (done = true));
  await settle();
  for (let i = 0; !done && i < 20; i++) await clock.advance(10);
  return promise;
}

test("a lease is one page's, until it is released", async () => {
  const { clock, make } = leaseWorld();
  const [one, two] = [make("one"), make("two")];
  const held = await answer(clock, one.take("w"));
  expect(held?.held()).toBe(true);
  expect(await answer(clock, two.take("w"))).toBeUndefined();
  await clock.advance(300_000); // renewed all the while
  expect(await answer(clock, two.take("w"))).toBeUndefined();
  held?.release();
  expect((await answer(clock, two.take("w")))?.held()).toBe(true);
});

test("of two that take a lease at once, one has it", async () => {
  const { clock, make } = leaseWorld();
  const takes = [make("one"), make("two")].map((locks) => locks.take("w"));
  await clock.advance(100);
  const held = await Promise.all(takes);
  expect(held.filter(Boolean)).toHaveLength(1);
});

test("of two processes that do not see each other's writes at once, one has it", async () => {
  const { clock, browser } = leaseWorld();
  const blind = (name: string): ReturnType<typeof leases> => {
    const local = browser.localStore({});
    const born = clock.now;
    return leases(
      { ...local, get: (key) => (clock.now === born ? null : local.get(key)) },
      clock,
      () => name,
    );
  };
  const takes = [blind("one"), blind("two")].map((locks) => locks.take("w"));
  await clock.advance(100);
  expect((await Promise.all(takes)).map(Boolean)).toEqual([false, true]);
});

test("without storage every page has what it asks for: nobody can tell another", async () => {
  const { clock } = leaseWorld();
  const [one, two] = ["one", "two"].map((name) => leases(undefined, clock, () => name)) as [
    ReturnType<typeof leases>,
    ReturnType<typeof leases>,
  ];
  const held = await answer(clock, one.take("w"));
  expect(held?.held()).toBe(true);
  expect((await answer(clock, two.wait("w", new AbortController().signal))).held()).toBe(true);
  await clock.advance(100_000);
  expect(held?.held()).toBe(true);
  held?.release();
  expect((await answer(clock, one.take("w")))?.held()).toBe(true);
});

test("who no longer wants a lease stops waiting for it", async () => {
  const { clock, make } = leaseWorld();
  await answer(clock, make("one").take("w"));
  const closing = new AbortController();
  const waiting = make("two").wait("w", closing.signal);
  await clock.advance(25_000);
  closing.abort();
  const gone = expect(waiting).rejects.toThrow("abort");
  await clock.advance(10_000);
  await gone;
});

test("what was taken away is not released", async () => {
  const { clock, browser, make } = leaseWorld();
  const held = await answer(clock, make("one").take("w"));
  const thief = `thief ${clock.now + 30_000}`;
  browser.local.set("lease/w", thief);
  held?.release();
  expect(browser.local.get("lease/w")).toBe(thief);
});

test("a page that is gone loses its lease after 30 s; one that slept notices", async () => {
  const { clock, browser, make } = leaseWorld();
  const sleeper = leases(
    browser.localStore({}),
    { ...clock, after: (ms, due) => (ms > 1000 ? () => {} : clock.after(ms, due)) },
    () => "sleeper",
  );
  const held = await answer(clock, sleeper.take("w"));
  const waiting = make("two").wait("w", new AbortController().signal);
  await clock.advance(25_000);
  expect(held?.held()).toBe(true);
  const mine = await answer(
    clock,
    clock.advance(20_000).then(() => waiting),
  );
  expect(mine.held()).toBe(true);
  expect(held?.held()).toBe(false);
});

test("a lease from the future is none: that clock has jumped", async () => {
  const { clock, browser, make } = leaseWorld();
  browser.local.set("lease/w", `gone ${clock.now + 86_400_000}`);
  expect((await answer(clock, make("one").take("w")))?.held()).toBe(true);
});

test("with leases, too, a tab adopts what a dead one left, and a robbed one begins anew", async () => {
  const clock = new FakeClock();
  const server = new FakeServer(clock);
  const browser = new FakeBrowser();
  const withLeases = (name: string): Tab => {
    const tab: Tab = new Tab(browser, server);
    const mortal = {
      ...clock,
      after: (ms: number, due: () => void) => clock.after(ms, () => tab.alive && due()),
    };
    tab.more = {
      storage: {
        local: () => browser.localStore(tab),
        disk: async () => browser.diskStore(),
        persist: async () => true,
        locks: () => leases(browser.localStore(tab), mortal, () => name),
      },
    };
    return tab;
  };
  server.down = true;
  const a = withLeases("a");
  await answer(clock, a.start());
  const one = a.list.add("one").id;
  a.kill();
  const b = withLeases("b");
  await answer(clock, b.start());
  expect(b.list.items.snapshot()).toEqual([]); // the lease still stands
  await clock.advance(50_000);
  expect(b.list.ids.snapshot()).toEqual([one]);

  // b sleeps (its renewals stop), another page takes its lease, b is clicked on
  for (const key of browser.local.keys())
    if (key.startsWith("lease/")) browser.local.set(key, `thief ${clock.now + 30_000}`);
  expect(b.list.add("two").written).toBe("volatile"); // until it has begun anew
  await clock.advance(1000);
  expect(b.status.volatile).toBe(0);
  expect(b.list.items.snapshot().map(({ imageId }) => imageId)).toContain("two");
  server.down = false;
  await clock.advance(120_000);
  expect(server.rows.map(({ op }) => op["imageId"]).sort()).toEqual(["one", "two"]);
});
