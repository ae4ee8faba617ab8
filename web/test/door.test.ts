/** The door as C declares it, as TypeScript calls it, and as core.wasm has it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  ASK_PULL,
  ASK_PUSH,
  channels,
  createEngine,
  DISK,
  GONE,
  START_DISK,
  START_NO_LOCAL,
  LOCAL,
  OK,
  PULL,
  SAVE,
  takeEvents,
  takeSend,
  type Engine,
  type EventTable,
} from "../src/core.js";
import { core } from "./core.js";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const strip = (text: string): string => text.replace(/\/\/.*$/gm, "").replace(/\s+/g, " ");

/** name -> the types of its parameters and its result, in JavaScript's words. */
function declared(): Map<string, string> {
  const word = (c: string): string =>
    /u?int64_t/.test(c) ? "bigint" : /void$/.test(c.trim()) ? "void" : "number";
  const functions = new Map<string, string>();
  for (const [, result = "", name = "", args = ""] of strip(
    read("../../src/client/door.h"),
  ).matchAll(/([\w ]+?[ *]+)TM_DOOR\((tm_door_\w+)\)\(([^)]*)\)/g)) {
    const types = args.trim() === "void" ? [] : args.split(",").map(word);
    functions.set(name, `(${types.join()})=>${result.includes("*") ? "number" : word(result)}`);
  }
  return functions;
}

/** As core.ts says it: a text is its length; the engine's number and the times are left out. */
function called(): Map<string, string> {
  const source = strip(read("../src/core.ts"));
  const word = (type: string): string => (/Text|boolean/.test(type) ? "number" : type);
  const functions = new Map<string, string>();
  const calls = /interface Calls \{(.*?)\}/.exec(source)?.[1] ?? "";
  for (const [, name = "", args = "", result = ""] of calls.matchAll(/(\w+)\(([^)]*)\): (\w+);/g)) {
    const types = args.split(",").map((arg) => word(arg.split(":")[1]?.trim() ?? ""));
    functions.set(`tm_door_${name}`, `(${types.filter(Boolean).join()})=>${result}`);
  }
  return functions;
}

test("core.ts has the calls of door.h, with their types", () => {
  const apart = ["in", "out", "out_len", "new", "free"].map((name) => `tm_door_${name}`);
  const calls = [...declared()].filter(([name]) => !apart.includes(name));
  expect(calls.length).toBeGreaterThan(25);
  const bare = calls.map(([name, type]) => [
    name,
    type
      .replace(/^\(number,?/, "(")
      .replace("(bigint,bigint,", "(")
      .replace("(bigint,bigint)", "()"),
  ]);
  // Two bigints that are no times would be hidden by this; there are none but `committed`'s.
  expect(Object.fromEntries(called())).toEqual(Object.fromEntries(bare));
});

test("core.wasm exports exactly those, and imports nothing", () => {
  const exported = WebAssembly.Module.exports(core()).filter(({ name }) => name.startsWith("tm_"));
  expect(exported.map(({ name }) => name).sort()).toEqual([...declared().keys()].sort());
  expect(WebAssembly.Module.imports(core())).toEqual([]);
});

test("the words of core.ts are the engine's numbers", () => {
  const header = strip(read("../../src/client/engine.h"));
  const source = read("../src/core.ts");
  const enumOf = (name: string): string[] =>
    (new RegExp(`typedef enum ${name} \\{([^}]*)\\}`).exec(header)?.[1] ?? "")
      .split(",")
      .map((member) => member.trim().replace(/ = .*/, ""))
      .filter(Boolean);
  const wordsIn = (text: string): string[] => [...text.matchAll(/"(\w+)"/g)].map(([, w = ""]) => w);
  const wordsOf = (name: string): string[] =>
    wordsIn(new RegExp(`const ${name}[^=]*= \\[([^\\]]*)\\]`).exec(source)?.[1] ?? "");
  const short =
    (prefix: string) =>
    (member: string): string =>
      member.replace(prefix, "").toLowerCase();
  const receipts = /type Receipt = ([^;]*);/.exec(source)?.[1] ?? "";
  expect(wordsIn(receipts)).toEqual(enumOf("tm_receipt").map(short("TM_RECEIPT_")));
  expect(wordsOf("written")).toEqual(enumOf("tm_written").map(short("TM_WRITTEN_")));
  const places = enumOf("tm_place").map(short("TM_PLACE_"));
  expect([LOCAL, DISK]).toEqual([places.indexOf("local"), places.indexOf("disk")]);
  const sends = enumOf("tm_send_kind").map(short("TM_SEND_"));
  expect([0, SAVE, PULL]).toEqual([
    sends.indexOf("none"),
    sends.indexOf("save"),
    sends.indexOf("pull"),
  ]);
  const asks = /typedef enum tm_ask \{([^}]*)\}/.exec(header)?.[1] ?? "";
  expect(asks.trim()).toBe(`TM_ASK_PUSH = ${ASK_PUSH}, TM_ASK_PULL = ${ASK_PULL}`);
  expect(wordsOf("channels")).toEqual(
    enumOf("tm_channel")
      .map(short("TM_CHANNEL_"))
      .map((w) => (w === "none" ? "offline" : w)),
  );
  expect(wordsOf("outcomes")).toEqual(
    enumOf("tm_committed").map(
      (member) => member.replace(/TM_COMMIT(TED|_)/, "").toLowerCase() || "committed",
    ),
  );
  expect(header).toContain(
    `enum { TM_START_DISK = ${START_DISK}, TM_START_NO_LOCAL = ${START_NO_LOCAL} };`,
  );
  const base = read("../../src/core/base.h");
  const codeOf = (name: string): number =>
    Number(new RegExp(`X\\(${name}, (-?\\d+),`).exec(base)?.[1]);
  expect([OK, GONE]).toEqual([codeOf("TM_OK"), codeOf("TM_E_GONE")]);
});

test("the events of session.ts stand in the order of the engine's", () => {
  const header = strip(read("../../src/client/engine.h"));
  const kinds = /typedef enum tm_event_kind \{([^}]*)\}/.exec(header)?.[1] ?? "";
  const wanted = [...kinds.matchAll(/TM_EVENT_(\w+)/g)].map(([, kind = ""]) => kind.toLowerCase());
  const table = /const table: EventTable = \{(.*?)\n {2}\};/s.exec(read("../src/session.ts"))?.[1];
  const handlers = [...(table ?? "").matchAll(/^ {4}(\w+)(?=[:(])/gm)].map(([, name]) => name);
  expect(["none", ...handlers]).toEqual(wanted);
});

let mono = 5_000;
const clock = { wall: () => 1_790_000_000_000, mono: () => mono };
const SEED = new Uint8Array(32).fill(7);
const engine = async (): Promise<Engine> => {
  const made = await createEngine(core(), "ann", "photos", SEED, clock);
  made.start("b-1", START_DISK);
  return made;
};
/** Keeps what is to be kept, and cares for nothing else. */
const keep = (e: Engine): void =>
  takeEvents(e, {
    ...Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`other${i}`, () => {}])),
    other0: ({ key }: { key: string }) => e.kept(key, true),
  } as unknown as EventTable);
const asked = (e: Engine, status: number): string => (expect(status).toBe(OK), e.text());

test("texts of any size and script go in and come out, while memory grows", async () => {
  const e = await engine();
  const memory: string[] = [];
  for (let i = 0; i < 300; i++) {
    const text = `${"ä€😀\u0000x".repeat(i % 7)}${"y".repeat(3000)}${i}`;
    const edit = { type: "ADD", imageId: "p", data: { description: text } };
    const id = asked(e, e.edit(JSON.stringify(edit)));
    keep(e);
    memory.push(JSON.stringify([id, text]));
  }
  for (const entry of memory) {
    const [id = "", text] = JSON.parse(entry) as [string, string];
    const item = JSON.parse(asked(e, e.item(id))) as { fields: { description: string } };
    expect(item.fields.description).toBe(text);
  }
  expect(JSON.parse(asked(e, e.order()))).toHaveLength(300);
});

test("times past 2^32 and deadlines are whole numbers", async () => {
  const e = await engine();
  const due = Number(e.deadline()); // -1 = never
  expect(Number.isSafeInteger(due) && due >= -1).toBe(true);
});

test("what is to be sent stays as it was, whatever the engine does next", async () => {
  const e = await engine();
  const add = (description: string): void => {
    asked(e, e.edit(JSON.stringify({ type: "ADD", imageId: "p", data: { description } })));
    keep(e);
  };
  e.channel(channels.indexOf("longpoll"));
  add("the first");
  e.ask(ASK_PUSH);
  const send = takeSend(e);
  expect(send?.kind).toBe(SAVE);
  e.answer(send!.ref, 0, new Uint8Array());
  for (let i = 0; i < 200; i++) add("y".repeat(4000));
  mono += 60_000;
  const again = takeSend(e);
  expect(again?.bytes.length).toBeGreaterThan(send!.bytes.length);
  expect(
    (JSON.parse(new TextDecoder().decode(send!.bytes)) as { operations: unknown[] }).operations,
  ).toHaveLength(1);
});

test("a record that is longer than any page is loaded", async () => {
  const e = await createEngine(core(), "ann", "photos", SEED, clock);
  e.load(DISK, "lacking", `"${"z".repeat(1_000_000)}"`); // damaged: reported, not fatal
  e.start("b-1", START_DISK);
  expect(asked(e, e.order())).toBe("[]");
});
