/** A trap in the core: one state, said once; nothing is lost that was stored. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { exportRescue } from "../src/rescue.js";
import { FakeBrowser, FakeClock, FakeServer, Tab, settle } from "./fakes.js";

const STOPPED = "tidemark: stopped: what is stored is safe; reload the page";
/** The call of the door that traps from now on; and all calls made, by name. */
let trap: string | undefined;
let calls: string[];
const instantiate = WebAssembly.instantiate;

beforeEach(() => {
  trap = undefined;
  calls = [];
  vi.spyOn(WebAssembly, "instantiate").mockImplementation((async (
    module: WebAssembly.Module,
    imports?: WebAssembly.Imports,
  ) => {
    if (imports) return instantiate(module, imports); // not the core
    const { exports } = await instantiate(module);
    const door = Object.entries(exports).map(([name, value]) => {
      if (typeof value !== "function") return [name, value];
      const call = value as (...args: unknown[]) => unknown;
      const watched = (...args: unknown[]): unknown => {
        calls.push(name);
        if (name === `tm_door_${trap}`) throw new WebAssembly.RuntimeError("unreachable");
        return call(...args);
      };
      return [name, Object.defineProperty(watched, "length", { value: call.length })];
    });
    return { exports: Object.fromEntries(door) as object };
  }) as never);
});
afterEach(() => void vi.restoreAllMocks());

async function live(): Promise<{ tab: Tab; id: string; codes: string[] }> {
  const tab = await Tab.open(new FakeBrowser(), new FakeServer(new FakeClock()));
  const codes: string[] = [];
  tab.list.onProblem(({ kind, code }) => codes.push(`${kind}/${code}`));
  tab.list.items.subscribe(() => {}); // the page shows it
  const { id } = tab.list.add("kept", { description: "one" });
  await tab.server.clock.advance(1000);
  return { tab, id, codes };
}

/** The state of a stopped list, and that the engine is left alone from then on. */
async function isStopped({ tab, id, codes }: Awaited<ReturnType<typeof live>>): Promise<void> {
  const { list, server, page } = tab;
  expect(tab.status).toMatchObject({ phase: "stopped", connection: "offline" });
  expect(codes).toEqual(["core/stopped"]);
  const after = calls.length;
  const shown = list.items.snapshot();
  expect(shown.map(({ imageId }) => imageId)).toContain("kept");
  for (const write of [
    () => list.add("p"),
    () => list.update(id, { description: "two" }),
    () => list.remove(id),
    () => list.setSort("desc"),
    () => list.batch(() => {}),
    () => list.retry("x"),
  ])
    expect(write).toThrow(STOPPED);
  for (const event of ["hidden", "visible", "offline", "online", "leave", "return"] as const)
    page.say(event);
  server.write({ type: "ADD", instanceId: "theirs", imageId: "theirs" });
  await server.clock.advance(3_600_000);
  expect(list.items.snapshot()).toBe(shown);
  expect(list.item(id).snapshot()?.imageId).toBe("kept");
  expect(calls.length).toBe(after);
  expect(codes).toEqual(["core/stopped"]);
  expect(server.open).toBe(0);
  await list.close();
  expect(calls.length).toBe(after);
  expect(tab.browser.locked).toEqual([]);
}

test("in an edit: the edit throws, and says what to do", async () => {
  const at = await live();
  trap = "edit";
  expect(() => at.tab.list.add("p")).toThrow(STOPPED);
  expect(() => at.tab.list.add("p")).toThrow(STOPPED);
  await isStopped(at);
});

test("in the midst of a batch", async () => {
  const at = await live();
  expect(() =>
    at.tab.list.batch(() => {
      at.tab.list.add("p");
      trap = "edit";
      at.tab.list.add("q");
    }),
  ).toThrow(STOPPED);
  await isStopped(at);
});

test.each(["feed", "tick", "event", "take", "status"])(
  "in `%s`, which nobody waits for: nothing is thrown into the page",
  async (call) => {
    const at = await live();
    trap = call;
    at.tab.server.write({ type: "ADD", instanceId: "other", imageId: "other" });
    await at.tab.server.clock.advance(120_000);
    await isStopped(at);
  },
);

test.each(["item", "order"])(
  "in `%s`, while a snapshot is read: what was shown is shown",
  async (call) => {
    const at = await live();
    const shown = at.tab.list.items.snapshot();
    at.tab.server.write({ type: "ADD", instanceId: "other", imageId: "other" });
    trap = call;
    await at.tab.server.clock.advance(1000);
    expect(at.tab.list.items.snapshot()).toEqual(shown);
    await isStopped(at);
  },
);

test("storage is intact: the next page has it all, and sends it", async () => {
  const at = await live();
  const { tab } = at;
  tab.server.down = true;
  tab.server.stop();
  tab.list.add("not sent yet");
  await settle();
  trap = "edit";
  expect(() => tab.list.add("never made")).toThrow(STOPPED);
  await settle();
  tab.server.down = false;
  trap = undefined;
  const next = await Tab.open(tab.browser, tab.server);
  await tab.server.clock.advance(60_000);
  expect(next.list.items.snapshot().map(({ imageId }) => imageId)).toEqual([
    "kept",
    "not sent yet",
  ]);
  expect(tab.server.rows.map(({ op }) => op["imageId"])).toEqual(["kept", "not sent yet"]);
});

test("what no storage had can still be rescued, and the page goes on warning", async () => {
  const at = await live();
  const { tab } = at;
  tab.server.down = true;
  tab.server.stop();
  tab.browser.full = tab.browser.diskFull = true;
  tab.list.add("only in memory");
  await settle();
  trap = "edit";
  expect(() => tab.list.add("never made")).toThrow(STOPPED);
  expect(tab.status).toMatchObject({ phase: "stopped", volatile: 1, safeToClose: false });
  expect(await exportRescue(tab.list)).toContain("only in memory");
});

test("flush rejects instead of waiting for ever", async () => {
  const { tab } = await live();
  tab.server.down = true;
  tab.server.stop();
  tab.list.add("p");
  const flush = tab.list.flush();
  trap = "edit";
  expect(() => tab.list.add("q")).toThrow(STOPPED);
  await expect(flush).rejects.toMatchObject({ code: "flush" });
});

test.each(["new", "load", "adopt", "start", "visible", "event", "status"])(
  "in `%s`, while opening: openList rejects, and the server is left alone",
  async (call) => {
    const { tab } = await live();
    tab.kill();
    trap = call;
    await expect(Tab.open(tab.browser, tab.server)).rejects.toThrow();
    expect(tab.browser.locked).toEqual([]);
    await tab.server.clock.advance(60_000);
    expect(tab.server.open).toBe(0);
    trap = undefined;
    const next = await Tab.open(tab.browser, tab.server);
    expect(next.list.items.snapshot()).toHaveLength(1);
  },
);
