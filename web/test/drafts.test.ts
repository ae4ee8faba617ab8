// @vitest-environment happy-dom
/** Text being typed, DESIGN 1: on a list that is a map, and fields of a small document. */
import { beforeEach, expect, test } from "vitest";
import { bindDraft, makeDraft, PAUSE_MS } from "../src/drafts.js";
import type { Written } from "../src/core.js";
import { makeHub, type Readable } from "../src/readable.js";
import type { Item, List } from "../src/types.js";
import { FakeClock } from "./fakes.js";

type Field = "description";
let clock: FakeClock;
let value: Readable<Item<Field> | undefined>;
let item: Item<Field> | undefined;
let hub: ReturnType<typeof makeHub>;
let writes: string[];
let held: Set<() => void>;
let list: List<Field>;

/** The value changes, here or elsewhere. */
function set(description: string | undefined): void {
  item = description === undefined ? undefined : { id: "i", imageId: "p", description };
  hub.tell("");
}

beforeEach(() => {
  clock = new FakeClock();
  hub = makeHub();
  value = hub.readable("", () => item);
  [writes, held] = [[], new Set()];
  set("");
  list = {
    item: () => value,
    update(_id: string, { description }: { description: string }): Written {
      if (!value.snapshot()) return "gone";
      if (description.length > 20) throw new RangeError("description is too long");
      writes.push(description);
      set(description);
      return "ok";
    },
    holdDraft(write: () => void) {
      const own = (): void => write();
      held.add(own);
      return () => void held.delete(own);
    },
  } as unknown as List<Field>;
});

/** A bound input; `type` is one keystroke's worth of text. */
function field(): {
  input: HTMLInputElement;
  type: (text: string) => void;
  unbind: () => void;
  lost: string[];
} {
  const input = document.createElement("input");
  document.body.append(input);
  const lost: string[] = [];
  const unbind = bindDraft(list, "i", "description", input, {
    clock,
    gone: (text) => lost.push(text),
  });
  const type = (text: string): void => {
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  return { input, type, unbind, lost };
}

test("a field without focus always shows the current value", () => {
  const { input } = field();
  set("one");
  expect(input.value).toBe("one");
  set("two");
  expect(input.value).toBe("two");
});

test("the first input begins a draft; a pause writes it, once", async () => {
  const { input, type } = field();
  input.focus();
  expect(held.size).toBe(0);
  type("n");
  expect(held.size).toBe(1);
  await clock.advance(PAUSE_MS - 1);
  type("north");
  await clock.advance(PAUSE_MS - 1);
  expect(writes).toEqual([]);
  await clock.advance(1);
  expect(writes).toEqual(["north"]);
  expect(held.size).toBe(0);
  input.blur();
  await clock.advance(10_000);
  expect(writes).toEqual(["north"]);
});

test("a focused field is never overwritten, with a draft or without", async () => {
  set("old");
  const { input, type } = field();
  input.focus();
  set("theirs");
  expect(input.value).toBe("old");
  type("mine");
  set("theirs again");
  expect(input.value).toBe("mine");
  await clock.advance(PAUSE_MS);
  set("theirs at last"); // written, but the cursor is still in it
  expect(input.value).toBe("mine");
  input.blur();
  expect(input.value).toBe("theirs at last");
  expect(writes).toEqual(["mine"]);
});

test("blur without a draft writes nothing, whatever came meanwhile", () => {
  set("old");
  const { input } = field();
  input.focus();
  set("theirs");
  input.blur();
  expect(writes).toEqual([]);
  expect(input.value).toBe("theirs");
});

test("blur writes a draft at once", () => {
  const { input, type } = field();
  input.focus();
  type("mine");
  input.blur();
  expect(writes).toEqual(["mine"]);
  expect(held.size).toBe(0);
});

test("a draft that says what the field showed at focus is dropped", async () => {
  set("old");
  const { input, type } = field();
  input.focus();
  type("older");
  set("theirs");
  type("old");
  await clock.advance(PAUSE_MS);
  expect(writes).toEqual([]);
  expect(held.size).toBe(0);
  input.blur();
  expect(input.value).toBe("theirs");
});

test("after a pause has written, going back to the old text is an edit", async () => {
  set("old");
  const { input, type } = field();
  input.focus();
  type("new");
  await clock.advance(PAUSE_MS);
  type("old");
  input.blur();
  expect(writes).toEqual(["new", "old"]);
});

test("hidden or left: the draft is written, and the field stays the user's", async () => {
  const { input, type } = field();
  input.focus();
  type("mine");
  [...held].forEach((write) => write());
  expect(writes).toEqual(["mine"]);
  expect(held.size).toBe(0);
  set("theirs");
  expect(input.value).toBe("mine");
  type("mine, more");
  await clock.advance(PAUSE_MS);
  expect(writes).toEqual(["mine", "mine, more"]);
});

test("a composition is not written in the middle, but nothing of it is lost when the page goes", async () => {
  const { input, type } = field();
  input.focus();
  input.dispatchEvent(new Event("compositionstart"));
  type("k");
  type("か");
  await clock.advance(5000);
  expect(writes).toEqual([]);
  expect(held.size).toBe(1);
  input.dispatchEvent(new Event("compositionend"));
  await clock.advance(PAUSE_MS);
  expect(writes).toEqual(["か"]);
  input.dispatchEvent(new Event("compositionstart"));
  type("かn");
  [...held].forEach((write) => write());
  expect(writes).toEqual(["か", "かn"]);
});

test("text that cannot be written stays, is said, and is written when it can be", async () => {
  const { input, type } = field();
  input.focus();
  type("x".repeat(21));
  await clock.advance(PAUSE_MS);
  expect(input.validationMessage).toContain("too long");
  expect(held.size).toBe(1);
  input.blur();
  set("theirs");
  expect(input.value).toBe("x".repeat(21));
  expect(held.size).toBe(1);
  input.focus();
  type("x");
  expect(input.validationMessage).toBe("");
  input.blur();
  expect(writes).toEqual(["x"]);
  expect(held.size).toBe(0);
});

test("the text of an item that was removed is handed back", async () => {
  const { input, type, lost } = field();
  input.focus();
  type("mine");
  set(undefined);
  await clock.advance(PAUSE_MS);
  expect(lost).toEqual(["mine"]);
  expect(held.size).toBe(0);
});

test("unbinding writes the draft and lets go; what cannot be written is handed back", async () => {
  const one = field();
  one.input.focus();
  one.type("mine");
  one.unbind();
  expect(writes).toEqual(["mine"]);
  set("theirs");
  expect(one.input.value).toBe("mine");
  const two = field();
  two.input.focus();
  two.type("y".repeat(30));
  two.unbind();
  expect(two.lost).toEqual(["y".repeat(30)]);
  expect(held.size).toBe(0);
  await clock.advance(5000);
  expect(writes).toEqual(["mine"]);
});

test("a field that had the focus when it was bound is the user's", () => {
  const input = document.createElement("input");
  document.body.append(input);
  input.focus();
  bindDraft(list, "i", "description", input, { clock });
  set("theirs");
  expect(input.value).toBe("");
});

test("its snapshot is stable, and true before anybody listens", () => {
  const draft = makeDraft(list, "i", "description", { clock });
  set("one");
  expect(draft.snapshot()).toEqual({ text: "one", problem: undefined });
  expect(draft.snapshot()).toBe(draft.snapshot());
});
