/** Every error and problem of docs/PACKAGE.md is provoked here, and there is no other. */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import {
  openList,
  type List,
  type Options,
  type Problem,
  type TidemarkError,
} from "../src/index.js";
import { importRescue } from "../src/rescue.js";
import { core } from "./core.js";
import { FakeBrowser, FakeClock, FakeServer, Tab, settle, type Fields } from "./fakes.js";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const page = read("../../docs/PACKAGE.md");
const rows = [...page.matchAll(/^\| (.+) \|$/gm)].map(([, row = ""]) => row.split(" | "));
/** code -> what the page says that it says, as a pattern. */
const table = (columns: number, code: number, says: number): Map<string, RegExp> =>
  new Map(
    rows
      .filter((row) => row.length === columns && /^`/.test(row[code] ?? ""))
      .map((row) => [row[code]!.slice(1, -1), pattern(row[says] ?? "")]),
  );
const pattern = (says: string): RegExp =>
  new RegExp(`^${says.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("…", "[^]+")}$`);
const errors = table(3, 0, 2);
const problems = table(4, 1, 2);
const provoked = new Set<string>();

afterEach(() => void vi.restoreAllMocks());

test("the page has the codes of the source, and the source those of the page", () => {
  const sources = readdirSync(new URL("../src/", import.meta.url)).map((file) =>
    read(`../src/${file}`),
  );
  const found = (call: RegExp): string[] =>
    [
      ...new Set(sources.flatMap((text) => [...text.matchAll(call)].map(([, code = ""]) => code))),
    ].sort();
  expect(found(/\bfail\(\s*"([\w-]+)"/g)).toEqual([...errors.keys()].sort());
  const said = found(/\b(?:say\("\w+", |problem\(|stale\()"([\w-]+)"/g);
  expect([...said, "user"].sort()).toEqual([...problems.keys()].sort());
});

// ---- What calls throw ----------------------------------------------------------------------

const right = { url: "http://server.example", user: "ann", list: "photos", core: core() };
const opening = (wrong: object): Promise<unknown> =>
  openList<Fields>({ ...right, ...wrong } as Options<Fields>);
const rescue = {
  format: "tidemark-rescue",
  version: 1,
  user: "ann",
  list: "photos",
  operations: [],
};
type Loose = List<string>;
const operation = {
  id: "x",
  type: "ADD",
  instanceId: "i",
  imageId: "p",
  browserId: "b",
  version: 1,
};

test.each<[string, (list: Loose, tab: Tab) => unknown]>([
  ["user", () => opening({ user: "" })],
  ["list", () => opening({ list: "Photos" })],
  ["url", () => opening({ url: "nonsense" })],
  ["url", () => opening({ url: "http://x.example/?token=1" })],
  ["url", () => opening({ url: "http://x.example/#there" })],
  ["field-name", () => opening({ fields: ["id"] })],
  [
    "core",
    () => {
      vi.stubGlobal("fetch", async () => new Response("", { status: 404 }));
      return opening({ core: "http://cdn.example/core.wasm" }).finally(() => vi.unstubAllGlobals());
    },
  ],
  ["field-name", (list) => list.add("p", { imageId: "x" })],
  ["field", (_list, tab) => tab.list.add("p", { photonumber: "1" } as object)],
  ["value", (list) => list.add("p", { description: 7 as never })],
  ["value", (list) => list.add("p", { description: "\ud800" })],
  ["too-long", (list) => list.add("p", { description: "x".repeat(4097) })],
  ["empty", (list) => list.update(list.add("p").id, {})],
  ["sort", (list) => list.setSort("up" as never)],
  ["batch", (list) => list.batch(async () => {})],
  ["dead-letter", (list) => list.retry("x")],
  ["dead-letter", (list) => list.discard("x")],
  ["closed", (list) => list.close().then(() => list.add("p"))],
  ["flush", (list) => (list.add("p"), Promise.all([list.flush(), list.close()]))],
  ["rescue-format", (list) => importRescue(list, "{}")],
  ["rescue-version", (list) => importRescue(list, JSON.stringify({ ...rescue, version: 2 }))],
  ["rescue-user", (list) => importRescue(list, JSON.stringify({ ...rescue, user: "bob" }))],
  ["rescue-list", (list) => importRescue(list, JSON.stringify({ ...rescue, list: "cats" }))],
  [
    "rescue-storage",
    (list, { browser }) => {
      browser.full = browser.diskFull = true;
      return importRescue(list, JSON.stringify({ ...rescue, operations: [operation] }));
    },
  ],
  [
    "stopped",
    (list) => {
      trapIn("tm_door_written");
      return list.add("p");
    },
  ],
])("%s says what to do", async (code, provoke) => {
  vi.spyOn(WebAssembly, "instantiate").mockImplementation(watched as never);
  const server = new FakeServer(new FakeClock());
  server.down = true;
  const fields: Fields[] | undefined =
    code === "field" ? ["photoNumber", "description"] : undefined;
  const tab = await Tab.open(new FakeBrowser(), server, fields && { fields });
  const error = await (async () => provoke(tab.list as unknown as Loose, tab))().then(
    () => undefined,
    (error: unknown) => error as TidemarkError,
  );
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ code });
  expect(error?.message.replace(`tidemark: ${code}: `, "")).toMatch(errors.get(code)!);
  expect(error?.message.startsWith(`tidemark: ${code}: `)).toBe(true);
  provoked.add(code);
});

test("edit: what the core refuses, in its own words", async () => {
  const server = new FakeServer(new FakeClock());
  const { list } = await Tab.open(new FakeBrowser(), server);
  for (const [refused, says] of [
    [() => list.add(""), "imageId"],
    [
      () => list.batch(() => Array.from({ length: 101 }, () => list.add("p"))),
      "too many edits in a batch",
    ],
  ] as const) {
    expect(refused).toThrow(says);
    expect(refused).toThrow(expect.objectContaining({ code: "edit" }) as Error);
  }
  provoked.add("edit");
});

// ---- What onProblem tells ------------------------------------------------------------------

let trapped = "";
const trapIn = (name: string): void => void (trapped = name);
const instantiate = WebAssembly.instantiate.bind(WebAssembly);
async function watched(module: WebAssembly.Module, imports?: object): Promise<{ exports: object }> {
  if (imports) return instantiate(module, imports as WebAssembly.Imports); // not the core
  trapped = "";
  const { exports } = await instantiate(module);
  const door = Object.entries(exports).map(([name, value]) => {
    if (typeof value !== "function") return [name, value];
    const call = value as (...args: unknown[]) => unknown;
    const may = (...args: unknown[]): unknown => {
      if (name === trapped) throw new WebAssembly.RuntimeError("unreachable");
      return call(...args);
    };
    return [name, Object.defineProperty(may, "length", { value: call.length })];
  });
  return { exports: Object.fromEntries(door) as object };
}

type World = { tab: Tab; server: FakeServer; browser: FakeBrowser; clock: FakeClock };
test.each<[Problem["kind"], string, Partial<Options<Fields>>, (world: World) => unknown]>([
  ["storage", "disk", {}, ({ browser, tab }) => ((browser.diskFull = true), tab.list.add("p"))],
  ["storage", "lost", {}, ({ browser }) => browser.loseDisk()],
  ["storage", "writer", {}, ({ tab }) => ((robbed = true), tab.list.add("p"))],
  ["connection", "no-token", { token: () => Promise.reject(new Error("signed out")) }, () => {}],
  ["connection", "token", { token: "t", socket: null }, ({ server }) => (server.status = 401)],
  [
    "connection",
    "socket",
    {
      socket: () => {
        throw new SyntaxError("a bad subprotocol");
      },
    },
    () => {},
  ],
  ["server", "user", { user: "eve" }, () => {}],
  ["damage", "damage", {}, ({ browser }) => browser.local.set("op/x", "{")],
  [
    "diverged",
    "diverged",
    {},
    async ({ server, clock, tab }) => {
      tab.list.add("p");
      await clock.advance(5000);
      server.digest("0".repeat(32));
    },
  ],
  ["core", "stopped", {}, () => trapIn("tm_door_tick")],
  [
    "core",
    "reopen",
    {},
    ({ tab }) => {
      tab.page.say("leave");
      trapped = "reopen";
      tab.page.say("return");
    },
  ],
  [
    "core",
    "held",
    {},
    ({ tab }) => {
      tab.page.say("leave");
      tab.list.add("");
    },
  ],
])("%s/%s says what to do", async (kind, code, more, provoke) => {
  robbed = false;
  vi.spyOn(WebAssembly, "instantiate").mockImplementation((async (
    module: WebAssembly.Module,
    imports?: object,
  ) => {
    if (trapped === "reopen") throw new WebAssembly.CompileError("no memory");
    return watched(module, imports);
  }) as never);
  trapped = "";
  const clock = new FakeClock();
  const [server, browser] = [new FakeServer(clock), new FakeBrowser()];
  const tab: Tab = new Tab(browser, server, more);
  const locks = browser.locks(tab);
  tab.more = {
    ...more,
    storage: {
      local: () => browser.localStore(tab),
      disk: async () => browser.diskStore(),
      persist: async () => true,
      locks: () => ({
        ...locks,
        take: async (name) => {
          const lock = await locks.take(name);
          return lock && { ...lock, held: () => !robbed };
        },
      }),
    },
  };
  if (code === "damage") provoke({ tab, server, browser, clock });
  await tab.start();
  await clock.advance(100);
  const told: Problem[] = [];
  tab.list.onProblem((problem) => told.push(problem));
  if (code !== "damage") await provoke({ tab, server, browser, clock });
  await clock.advance(60_000);
  await settle();
  const problem = told.find((one) => one.code === code);
  expect(problem, JSON.stringify(told)).toMatchObject({ kind, code });
  if (code !== "diverged") expect(problem?.detail).toMatch(problems.get(code)!);
  provoked.add(`${kind}/${code}`);
});
let robbed = false;

afterAll(() => {
  const all = [
    ...errors.keys(),
    ...rows
      .filter((row) => row.length === 4 && problems.has(row[1]!.slice(1, -1)))
      .map((row) => `${row[0]}/${row[1]!.slice(1, -1)}`),
  ];
  expect([...provoked].sort()).toEqual(all.sort());
});
