/** The door as C declares it, as TypeScript calls it, and as core.wasm has it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Engine, GONE, OK } from "../src/core.js";
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

function called(): Map<string, string> {
  const functions = new Map<string, string>();
  for (const [, name = "", args = "", result = ""] of strip(read("../src/core.ts")).matchAll(
    /(tm_door_\w+)\(([^)]*)\): (\w+);/g,
  )) {
    const types = args.split(",").map((arg) => arg.split(":")[1]?.trim() ?? "");
    functions.set(name, `(${types.filter(Boolean).join()})=>${result}`);
  }
  return functions;
}

test("core.ts has the functions of door.h, with their types", () => {
  expect(declared().size).toBeGreaterThan(30);
  expect(Object.fromEntries(called())).toEqual(Object.fromEntries(declared()));
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
  const wordsOf = (name: string): string[] =>
    [
      ...(new RegExp(`const ${name} = \\[([^\\]]*)\\]`).exec(source)?.[1] ?? "").matchAll(
        /"(\w+)"/g,
      ),
    ].map(([, w = ""]) => w);
  const short =
    (prefix: string) =>
    (member: string): string =>
      member.replace(prefix, "").toLowerCase();
  expect(wordsOf("kinds")).toEqual(enumOf("tm_event_kind").map(short("TM_EVENT_")));
  expect(wordsOf("receipts")).toEqual(enumOf("tm_receipt").map(short("TM_RECEIPT_")));
  expect(wordsOf("written")).toEqual(enumOf("tm_written").map(short("TM_WRITTEN_")));
  expect(wordsOf("places")).toEqual(enumOf("tm_place").map(short("TM_PLACE_")));
  expect(wordsOf("sends")).toEqual(enumOf("tm_send_kind").map(short("TM_SEND_")));
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
  const base = read("../../src/core/base.h");
  const codeOf = (name: string): number =>
    Number(new RegExp(`X\\(${name}, (-?\\d+),`).exec(base)?.[1]);
  expect([OK, GONE]).toEqual([codeOf("TM_OK"), codeOf("TM_E_GONE")]);
});

const now = { wall: 1_790_000_000_000, mono: 5_000 };
const engine = async (): Promise<Engine> => {
  const made = await Engine.create(core(), "ann", "photos", new Uint8Array(32).fill(7));
  made.start(now, "b-1", true);
  return made;
};

test("texts of any size and script go in and come out, while memory grows", async () => {
  const e = await engine();
  const memory: string[] = [];
  for (let i = 0; i < 300; i++) {
    const text = `${"ä€😀\u0000x".repeat(i % 7)}${"y".repeat(3000)}${i}`;
    const { status, text: id } = e.edit(
      now,
      JSON.stringify({ type: "ADD", imageId: "p", data: { description: text } }),
    );
    expect(status).toBe(OK);
    for (let event = e.event(); event; event = e.event())
      if (event.kind === "keep") e.kept(event.key, true);
    memory.push(JSON.stringify([id, text]));
  }
  for (const entry of memory) {
    const [id, text] = JSON.parse(entry) as [string, string];
    expect(
      (JSON.parse(e.item(now, id)) as { fields: { description: string } }).fields.description,
    ).toBe(text);
  }
  expect(e.order(now)).toHaveLength(300);
});

test("times past 2^32 and deadlines are whole numbers", async () => {
  const e = await engine();
  const due = e.deadline();
  expect(due === Infinity || (Number.isSafeInteger(due) && due >= 0)).toBe(true);
});

test("what is to be sent stays as it was, whatever the engine does next", async () => {
  const e = await engine();
  const add = (description: string): void => {
    expect(
      e.edit(now, JSON.stringify({ type: "ADD", imageId: "p", data: { description } })).status,
    ).toBe(OK);
    for (let event = e.event(); event; event = e.event())
      if (event.kind === "keep") e.kept(event.key, true);
  };
  e.channel(now, "longpoll");
  add("the first");
  e.ask(now, false);
  const send = e.take(now);
  expect(send?.kind).toBe("save");
  e.answer(now, send!.ref, 0, new Uint8Array());
  for (let i = 0; i < 200; i++) add("y".repeat(4000));
  const again = e.take({ ...now, mono: now.mono + 60_000 });
  expect(again?.bytes.length).toBeGreaterThan(send!.bytes.length);
  expect(
    (JSON.parse(new TextDecoder().decode(send!.bytes)) as { operations: unknown[] }).operations,
  ).toHaveLength(1);
});

test("a record that is longer than any page is loaded", async () => {
  const e = await Engine.create(core(), "ann", "photos", new Uint8Array(32));
  e.load("disk", "lacking", `"${"z".repeat(1_000_000)}"`); // damaged: reported, not fatal
  e.start(now, "b-1", true);
  expect(e.order(now)).toEqual([]);
});
