/** The page around the list: hidden, left, back from the cache; the warning; the defaults. */
import { expect, test, vi } from "vitest";
import { browserPage } from "../src/host.js";
import { browserDisk, browserLocal } from "../src/storage.js";
import { FakeBrowser, FakeClock, FakeServer, Tab, settle } from "./fakes.js";

async function live(
  more = {},
): Promise<{ tab: Tab; server: FakeServer; clock: FakeClock; browser: FakeBrowser }> {
  const clock = new FakeClock();
  const server = new FakeServer(clock);
  const browser = new FakeBrowser();
  const tab = await Tab.open(browser, server, more);
  await clock.advance(100);
  return { tab, server, clock, browser };
}

test("a page that leaves writes its drafts, sends, and frees its writer", async () => {
  const { tab, server, browser, clock } = await live();
  const { id } = tab.list.add("p");
  tab.list.holdDraft(() => void tab.list.update(id, { description: "typed" }));
  tab.page.say("leave");
  await clock.advance(100);
  expect(server.field(id, "description")).toBe("typed");
  const next = await Tab.open(browser, server);
  next.list.add("q");
  await clock.advance(1000);
  expect(new Set(server.rows.map(({ op }) => op.browserId)).size).toBe(1); // taken over
});

test("back from the cache: it finds what happened meanwhile, and shares no writer", async () => {
  const { tab, server, browser, clock } = await live();
  const [mine, changed, removed] = ["mine", "changed", "removed"].map(
    (image) => tab.list.add(image).id,
  ) as [string, string, string];
  await clock.advance(1000);
  const kept = tab.list.item(mine).snapshot();
  tab.page.say("leave");
  await clock.advance(1000);
  expect(server.open).toBe(0);
  const other = await Tab.open(browser, server);
  other.list.add("other");
  other.list.update(changed, { description: "elsewhere" });
  other.list.remove(removed);
  await clock.advance(1000);
  tab.page.say("return");
  await clock.advance(1000);
  expect(tab.list.items.snapshot().map(({ imageId }) => imageId)).toEqual([
    "mine",
    "changed",
    "other",
  ]);
  expect(tab.list.item(mine).snapshot()).toBe(kept);
  expect(tab.field(changed, "description")).toBe("elsewhere");
  expect(tab.list.item(removed).snapshot()).toBeUndefined();
  expect(tab.status).toMatchObject({ connection: "push", phase: "live" });
  tab.list.add("back");
  await clock.advance(1000);
  expect(new Set(server.rows.map(({ op }) => op.browserId)).size).toBe(2);
});

test("an edit in a page that was thought to have left is not lost", async () => {
  const { tab, server, clock } = await live();
  tab.page.say("leave");
  const { id, written } = tab.list.add("p");
  expect(written).toBe("volatile");
  expect(tab.status).toMatchObject({ volatile: 1, pending: 1, safeToClose: false });
  tab.list.batch(() => {
    tab.list.add("q");
    expect(() =>
      tab.list.batch(() => {
        tab.list.add("taken back");
        throw new Error("app bug");
      }),
    ).toThrow("app bug");
  });
  await clock.advance(2000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["p", "q"]);
  expect(tab.list.items.snapshot()[0]?.id).toBe(id);
  expect(tab.status).toMatchObject({ volatile: 0, pending: 0, safeToClose: true });
});

test("what no storage has keeps the page from letting go", async () => {
  const { tab, server, browser, clock } = await live();
  server.down = true;
  server.stop();
  browser.full = browser.diskFull = true;
  tab.list.add("p");
  tab.page.say("leave");
  await settle();
  tab.page.say("return");
  server.down = false;
  await clock.advance(120_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["p"]);
});

test("the warning stands while something would be lost, and only if it was asked for", async () => {
  const { tab } = await live({ warnBeforeClose: true });
  const done = tab.list.holdDraft(() => {});
  expect(tab.page.warning).toBe(true);
  done();
  expect(tab.page.warning).toBe(false);
  const { tab: quiet } = await live();
  quiet.list.holdDraft(() => {});
  expect(quiet.page.warning).toBe(false);
});

test("storage is asked to stay once the user has written, not before, and once", async () => {
  const persist = vi.fn(async () => true);
  const browser = new FakeBrowser();
  const server = new FakeServer(new FakeClock());
  const tab: Tab = new Tab(browser, server);
  tab.more = {
    storage: {
      local: () => browser.localStore(tab),
      disk: async () => browser.diskStore(),
      locks: () => browser.locks(tab),
      persist,
    },
  };
  await tab.start();
  expect(persist).not.toHaveBeenCalled();
  tab.list.add("p");
  tab.list.add("q");
  expect(persist).toHaveBeenCalledTimes(1);
});

test("outside a browser the defaults are there, and say that nothing is", async () => {
  const page = browserPage();
  expect([page.visible(), page.online()]).toEqual([true, true]);
  page.listen(() => {})();
  page.warn(true);
  expect(await browserDisk("x")).toBeUndefined();
  expect(browserLocal("x")).toBeUndefined();
});

test("what the browser's events say, wherever they are sent to, until it is left", () => {
  const at = new EventTarget(); // the window, which the document's events come by
  vi.stubGlobal("addEventListener", at.addEventListener.bind(at));
  vi.stubGlobal("removeEventListener", (type: string, told: () => void, capture: boolean) =>
    at.removeEventListener(type, told, { capture }), // Node's own takes no boolean there
  );
  vi.stubGlobal("document", { hidden: false });
  const page = browserPage();
  const told: string[] = [];
  const leave = page.listen((event) => told.push(event));
  const send = (type: string): boolean => at.dispatchEvent(new Event(type, { cancelable: true }));
  const types = ["freeze", "resume", "pagehide", "pageshow", "online", "offline"];
  types.forEach(send);
  expect(told.splice(0)).toEqual(["leave", "return", "leave", "return", "online", "offline"]);
  for (const hidden of [true, false]) {
    vi.stubGlobal("document", { hidden });
    expect(page.visible()).toBe(!hidden);
    send("visibilitychange");
  }
  expect(told.splice(0)).toEqual(["hidden", "visible"]);
  leave();
  [...types, "visibilitychange"].forEach(send);
  expect(told).toEqual([]);

  for (const warns of [true, true, false]) {
    page.warn(warns);
    expect(send("beforeunload")).toBe(!warns);
  }
  vi.unstubAllGlobals();
});

test("a page that may not use storage has none", () => {
  vi.stubGlobal("localStorage", undefined);
  Object.defineProperty(globalThis, "localStorage", {
    configurable: true,
    get: () => {
      throw new DOMException("denied", "SecurityError");
    },
  });
  expect(browserLocal("x")).toBeUndefined();
  vi.unstubAllGlobals();
});
