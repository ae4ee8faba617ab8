/** The guard of a disk transaction, and storage that refuses, is missing, or goes. */
import { expect, test, vi } from "vitest";
import { decide } from "../src/storage.js";
import type { Options } from "../src/index.js";
import { FakeBrowser, FakeClock, FakeServer, Tab, settle, type Fields } from "./fakes.js";

const writes = { guarded: [["put", "state", "g"]], always: [["put", "offset", "1"]] } as const;
const both = [...writes.guarded, ...writes.always];
const state = (generation: number, cursor: number): string =>
  JSON.stringify({ generation, cursor, mark: "m" });

test.each([
  ["nothing stored", [0, 0, "m"], undefined, "committed", 0, both],
  ["a later cursor", [1, 6, "m"], state(1, 5), "committed", 6, both],
  ["a later cursor of another history", [1, 6, "n"], state(1, 5), "refused", 5, writes.always],
  ["a later generation, an earlier cursor", [2, 1, "m"], state(1, 5), "committed", 1, both],
  ["the same pair", [1, 5, "m"], state(1, 5), "refused", 5, writes.always],
  ["an earlier cursor", [1, 4, "m"], state(1, 5), "refused", 5, writes.always],
  ["an earlier generation", [1, 9, "m"], state(2, 5), "superseded", 5, writes.always],
  ["a later generation, beside what it does not know", [2, 9, "n"], state(1, 5), "superseded", 5, writes.always],
  ["no guard", null, state(2, 5), "committed", 5, writes.always],
  ["no guard, nothing stored", null, undefined, "committed", 0, writes.always],
  ["an unreadable state", [0, 0, "m"], "{", "committed", 0, both],
  ["a state of other things", [0, 3, "m"], '{"generation":"x","cursor":9}', "committed", 3, both],
  ["a state that is no object", [0, 3, "m"], "null", "committed", 3, both],
] as const)("guard: %s", (_name, guard, stored, outcome, cursor, done) => {
  expect(decide({ guard, ...writes }, stored)).toEqual({ outcome, cursor, writes: done });
});

const world = (): { server: FakeServer; browser: FakeBrowser; clock: FakeClock } => {
  const clock = new FakeClock();
  return { clock, server: new FakeServer(clock), browser: new FakeBrowser() };
};

test("an edit is kept before the call returns, then on disk, then accepted", async () => {
  const { server, browser } = world();
  server.down = true;
  const tab = await Tab.open(browser, server);
  const { id, written } = tab.list.add("p1", { description: "north" });
  expect(written).toBe("ok");
  expect([...browser.local.keys()].some((key) => key.startsWith("op/"))).toBe(true);
  expect(tab.list.receipt(id).snapshot()).toBe("kept");
  await settle();
  expect(tab.list.receipt(id).snapshot()).toBe("disk");
  server.down = false;
  await server.clock.advance(60_000);
  expect(tab.list.receipt(id).snapshot() ?? "accepted").toBe("accepted");
  expect(tab.status.pending).toBe(0);
  await tab.list.close();
});

test("a full localStorage: volatile, until the disk has it", async () => {
  const { server, browser } = world();
  server.down = true;
  const tab = await Tab.open(browser, server, { warnBeforeClose: true });
  browser.full = true;
  let open = (): void => {};
  browser.gate = new Promise((resolve) => (open = resolve));
  const { id, written } = tab.list.add("p1");
  expect(written).toBe("volatile");
  expect(tab.list.item(id).snapshot()).toEqual({ id, imageId: "p1" });
  expect(tab.status).toMatchObject({ volatile: 1, pending: 1, safeToClose: false });
  expect(tab.page.warning).toBe(true);
  open();
  await settle();
  expect(tab.status).toMatchObject({ volatile: 0, pending: 1, safeToClose: true });
  expect(tab.page.warning).toBe(false);
  tab.kill();
  browser.full = false;
  const next = await Tab.open(browser, server);
  expect(next.list.items.snapshot()).toEqual([{ id, imageId: "p1" }]);
});

test("memrynote/memry#1292: storage ends at 2.5 million characters: volatile from there on, nothing thrown away", async () => {
  const { server, browser, clock } = world();
  server.down = true;
  browser.diskFull = true;
  const tab: Tab = new Tab(browser, server);
  const local = browser.localStore(tab);
  let used = 0;
  const set = (key: string, text: string): void => {
    if (used + key.length + text.length > 2_500_000)
      throw new DOMException("", "QuotaExceededError");
    used += key.length + text.length;
    local.set(key, text);
  };
  tab.more = {
    storage: {
      local: () => ({ ...local, set }),
      disk: async () => browser.diskStore(),
      locks: () => browser.locks(tab),
      persist: async () => true,
    },
  };
  await tab.start();
  const written: string[] = [];
  for (let i = 0; i < 700; i++)
    written.push(tab.list.add(`p${i}`, { description: "x".repeat(4000) }).written);
  const first = written.indexOf("volatile");
  expect(first).toBeGreaterThan(500);
  expect(written.slice(first).filter((word) => word === "ok")).toEqual([]);
  expect(tab.status).toMatchObject({ pending: 700, volatile: 700 - first, safeToClose: false });
  expect(tab.status.storage.local).toBe("refuses");
  server.down = false;
  await clock.advance(120_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(written.map((_, i) => `p${i}`));
  expect(tab.status).toMatchObject({ pending: 0, volatile: 0, safeToClose: true });
});

test("both full: volatile, shown, sent all the same, and no longer volatile when accepted", async () => {
  const { server, browser, clock } = world();
  const tab = await Tab.open(browser, server);
  await clock.advance(1000);
  browser.full = browser.diskFull = true;
  const { written } = tab.list.add("p1");
  expect(written).toBe("volatile");
  await clock.advance(5000);
  expect(server.rows).toHaveLength(1);
  expect(tab.status).toMatchObject({ volatile: 0, pending: 0, safeToClose: true });
});

test.each([
  ["no localStorage", { local: () => undefined }],
  ["no IndexedDB", { disk: async () => undefined }],
  ["neither", { local: () => undefined, disk: async () => undefined }],
] as [string, Partial<NonNullable<Options<Fields>["storage"]>>][])(
  "%s: the list works, and says how safe it is",
  async (_name, without) => {
    const { server, browser, clock } = world();
    const tab: Tab = new Tab(browser, server);
    const storage: Options<Fields>["storage"] = {
      local: () => browser.localStore(tab),
      disk: async () => browser.diskStore(),
      locks: () => browser.locks(tab),
      persist: async () => true,
      ...without,
    };
    tab.more = { storage };
    server.down = true;
    await tab.start();
    const { id, written } = tab.list.add("p1");
    expect(written).toBe("local" in without ? "volatile" : "ok");
    await settle();
    expect(tab.status.volatile).toBe("disk" in without && "local" in without ? 1 : 0);
    server.down = false;
    await clock.advance(60_000);
    expect(tab.status).toMatchObject({ pending: 0, volatile: 0, safeToClose: true });
    expect(server.rows[0]?.op["instanceId"]).toBe(id);
  },
);

test.each([
  ["both", {}, 1],
  ["no IndexedDB", { disk: async () => undefined }, 0],
  ["no localStorage", { local: () => undefined }, 3],
  ["neither", { local: () => undefined, disk: async () => undefined }, 2],
] as [string, Partial<NonNullable<Options<Fields>["storage"]>>, number][])(
  "%s: the engine is told what it could not see of storage",
  async (_name, without, places) => {
    const instantiate = WebAssembly.instantiate;
    const told: unknown[] = [];
    const spy = vi.spyOn(WebAssembly, "instantiate").mockImplementation((async (
      module: WebAssembly.Module,
      imports?: WebAssembly.Imports,
    ) => {
      const { exports } = await instantiate(module, imports ?? {});
      const start = exports["tm_door_start"] as (...args: unknown[]) => number;
      const watched = (...args: unknown[]): number => (told.push(args.at(-1)), start(...args));
      Object.defineProperty(watched, "length", { value: start.length });
      return { exports: { ...exports, tm_door_start: watched } };
    }) as never);
    const { server, browser } = world();
    const tab: Tab = new Tab(browser, server);
    tab.more = {
      storage: {
        local: () => browser.localStore(tab),
        disk: async () => browser.diskStore(),
        locks: () => browser.locks(tab),
        persist: async () => true,
        ...without,
      },
    };
    await tab.start();
    expect(told).toEqual([places]);
    spy.mockRestore();
  },
);

test("site data cleared while the page is open: what is queued is put back, the rest fetched again", async () => {
  const { server, browser, clock } = world();
  const tab = await Tab.open(browser, server);
  tab.list.add("p1");
  await clock.advance(5000);
  server.down = true;
  server.stop();
  const { id } = tab.list.add("p2");
  await settle();
  browser.clear();
  await clock.advance(1000);
  expect([...browser.local.keys()].some((key) => key.startsWith("op/"))).toBe(true);
  const other = tab.list.add("p3"); // a session is made anew meanwhile: nothing falls between
  server.down = false;
  await clock.advance(120_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["p1", "p2", "p3"]);
  expect(tab.list.items.snapshot().map((item) => item.imageId)).toEqual(["p1", "p2", "p3"]);
  expect(tab.list.items.snapshot().map((item) => item.id)).toContain(id);
  expect(other.written).toBe("ok");
  tab.kill();
  server.down = true;
  const next = await Tab.open(browser, server);
  expect(next.list.items.snapshot()).toHaveLength(3);
});

test("a stored record that cannot be read is told, and costs nothing else", async () => {
  const { server, browser, clock } = world();
  server.down = true;
  const dead = await Tab.open(browser, server);
  const { id } = dead.list.add("kept");
  dead.list.add("damaged");
  await settle();
  dead.kill();
  const [damaged = ""] = [...browser.local].find(([, text]) => text.includes("damaged")) ?? [];
  browser.local.set(damaged, "{");
  browser.disk.set(damaged, '{"writer":');
  const tab = await Tab.open(browser, server);
  const told: string[] = [];
  tab.list.onProblem(({ kind, detail }) => told.push(`${kind}: ${detail}`));
  expect(told.join()).toContain(`damage: ${damaged}`);
  expect(tab.list.ids.snapshot()).toEqual([id]);
  server.down = false;
  await clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["kept"]);
  expect(tab.list.add("after").written).toBe("ok");
  await clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["kept", "after"]);
});

test("cleared, too: what was taken over from a dead tab is put back", async () => {
  const { server, browser, clock } = world();
  server.down = true;
  const dead = await Tab.open(browser, server);
  dead.list.add("from the dead");
  dead.kill();
  const tab = await Tab.open(browser, server);
  browser.clear();
  await clock.advance(1000);
  tab.kill();
  server.down = false;
  await Tab.open(browser, server);
  await clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["from the dead"]);
});

test("a database that goes while an edit is nowhere else: the page keeps it until it is safe", async () => {
  const { server, browser, clock } = world();
  const tab = await Tab.open(browser, server);
  server.down = true;
  server.stop();
  browser.full = browser.diskFull = true;
  expect(tab.list.add("p").written).toBe("volatile");
  browser.loseDisk();
  await clock.advance(10_000);
  expect(tab.status).toMatchObject({ pending: 1, volatile: 1, safeToClose: false });
  server.down = false;
  await clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["p"]);
  browser.full = browser.diskFull = false;
  await clock.advance(60_000);
  tab.list.add("q");
  await settle();
  expect([...browser.disk.keys()].some((key) => key.startsWith("op/"))).toBe(true); // begun anew
});

test("what is accepted, and passed on disk, is forgotten in both places", async () => {
  const { server, browser, clock } = world();
  const tab = await Tab.open(browser, server);
  tab.list.add("p");
  await clock.advance(5000);
  expect(tab.status.pending).toBe(0);
  expect(
    [...browser.local.keys(), ...browser.disk.keys()].filter((key) => key.startsWith("op/")),
  ).toEqual([]);
});

test("close waits until the disk has what it was given, and writes the drafts first", async () => {
  const { server, browser } = world();
  server.down = true;
  const tab = await Tab.open(browser, server);
  await settle();
  const { id } = tab.list.add("p");
  tab.list.holdDraft(() => void tab.list.update(id, { description: "typed" }));
  let open = (): void => {};
  browser.gate = new Promise((resolve) => (open = resolve));
  const closing = tab.list.close();
  await settle();
  open();
  await closing;
  const stored = [...browser.disk].filter(([key]) => key.startsWith("op/")).map(([, text]) => text);
  expect(stored.join()).toContain("typed");
});

test("storage is the url's, the user's and the list's; no name reaches into another's", async () => {
  const scopes: string[] = [];
  for (const [url, user] of [
    ["http://server.example", "a/b"],
    ["http://server.example/a", "b"],
    ["http://server.example", "A/b"],
  ] as const) {
    const { server } = world();
    const storage = {
      local: (scope: string) => void scopes.push(scope),
      disk: async (scope: string) => void scopes.push(scope),
      locks: (scope: string) => (scopes.push(scope), new FakeBrowser().locks({})),
    } as Options<Fields>["storage"] & object;
    await Tab.open(new FakeBrowser(), server, { url, user, storage });
  }
  expect(
    scopes.filter((scope) => scope === "http%3A%2F%2Fserver.example/a%2Fb/photos"),
  ).toHaveLength(3);
  expect(new Set(scopes).size).toBe(3);
});

test("a page that is killed at any moment loses nothing that was kept", async () => {
  const { server, browser, clock } = world();
  const ids: string[] = [];
  for (let round = 0; round < 6; round++) {
    const tab = await Tab.open(browser, server);
    if (round % 2) await clock.advance(round * 10);
    ids.push(tab.list.add(`p${round}`).id, tab.list.add(`q${round}`).id);
    if (round % 3) await settle();
    tab.kill();
  }
  const last = await Tab.open(browser, server);
  await clock.advance(60_000);
  expect(
    last.list.items
      .snapshot()
      .map(({ id }) => id)
      .sort(),
  ).toEqual([...ids].sort());
  expect(server.rows).toHaveLength(ids.length);
  expect(last.status.pending).toBe(0);
});
