// @vitest-environment happy-dom
/** The React binding on a real list. */
import { act, memo, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { useDraft, useIds, useItem, useItems, useReadable, useReceipt } from "../src/react.js";
import type { List } from "../src/index.js";
import { FakeBrowser, FakeClock, FakeServer, Tab, type Fields } from "./fakes.js";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
const renders = new Map<string, number>();

const Row = memo(function Row({ list, id }: { list: List<Fields>; id: string }) {
  renders.set(id, (renders.get(id) ?? 0) + 1);
  const item = useItem(list, id);
  const receipt = useReceipt(list, id);
  const { props, problem } = useDraft(list, id, "description", {
    clock: list === current?.list ? current.server.clock : new FakeClock(),
  });
  return (
    <li data-receipt={receipt}>
      {item?.imageId}
      <input {...props} />
      {problem}
    </li>
  );
});

function Rows({ list }: { list: List<Fields> }) {
  renders.set("ids", (renders.get("ids") ?? 0) + 1);
  return (
    <ul>
      {useIds(list).map((id) => (
        <Row key={id} list={list} id={id} />
      ))}
    </ul>
  );
}
const Pending = ({ list }: { list: List<Fields> }) => <p>{useReadable(list.status).pending}</p>;

const Page = ({ list }: { list: List<Fields> }) => (
  <section>
    <Pending list={list} />
    <Rows list={list} />
  </section>
);

const Count = ({ list }: { list: List<Fields> }) => <b>{useItems(list).length}</b>;

let current: Tab | undefined;
async function mounted(): Promise<{
  tab: Tab;
  node: HTMLElement;
  inputs: () => HTMLInputElement[];
  unmount: () => Promise<void>;
}> {
  const server = new FakeServer(new FakeClock());
  server.down = true;
  const tab = (current = await Tab.open(new FakeBrowser(), server));
  const node = document.createElement("main");
  document.body.append(node);
  const root = createRoot(node);
  await act(async () =>
    root.render(
      <StrictMode>
        <Page list={tab.list} />
      </StrictMode>,
    ),
  );
  const inputs = (): HTMLInputElement[] => [...node.querySelectorAll("input")];
  return { tab, node, inputs, unmount: () => act(async () => root.unmount()) };
}

/** As a user types: React listens for the event, and asks the node for its value. */
async function type(input: HTMLInputElement, text: string): Promise<void> {
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

test("one edit renders one row", async () => {
  const { tab, node } = await mounted();
  let a = "",
    b = "";
  await act(async () => {
    a = tab.list.add("a").id;
    b = tab.list.add("b").id;
  });
  await act(async () => tab.server.clock.advance(10_000)); // receipts have settled
  expect(node.textContent).toBe("2ab");
  const before = new Map(renders);
  await act(async () => void tab.list.update(b, { photoNumber: "1" }));
  expect(renders.get(a)).toBe(before.get(a));
  expect(renders.get(b)).toBeGreaterThan(before.get(b)!);
  expect(renders.get("ids")).toBe(before.get("ids"));
  await act(async () => void tab.list.setSort("desc")); // it moves; nothing in it changes
  expect(renders.get(a)).toBe(before.get(a));
  expect(renders.get("ids")).toBeGreaterThan(before.get("ids")!);
});

test("what another browser writes renders the one row that it changes", async () => {
  const server = new FakeServer(new FakeClock());
  const tab = (current = await Tab.open(new FakeBrowser(), server));
  const root = createRoot(document.body.appendChild(document.createElement("main")));
  const ids: string[] = [];
  await act(async () => {
    root.render(<Page list={tab.list} />);
    for (let i = 0; i < 30; i++) ids.push(tab.list.add(`p${i}`).id);
  });
  await act(async () => server.clock.advance(100_000)); // accepted, and told so
  const before = new Map(renders);
  await act(async () => {
    server.write({ type: "UPDATE_METADATA", instanceId: ids[7], data: { description: "theirs" } });
    await server.clock.advance(1000);
  });
  expect(tab.field(ids[7]!, "description")).toBe("theirs");
  const rendered = [...renders].filter(([id, count]) => count !== before.get(id));
  expect(rendered.map(([id]) => id)).toEqual([ids[7]]);
  await act(async () => root.unmount());
});

test("the draft binding: typed, written after a pause, shown when it comes from elsewhere", async () => {
  const { tab, inputs, unmount } = await mounted();
  let id = "";
  await act(async () => void (id = tab.list.add("a", { description: "old" }).id));
  const input = inputs()[0]!;
  expect(input.value).toBe("old");
  await act(async () => input.focus());
  await type(input, "north");
  expect(tab.status).toMatchObject({ drafts: 1, safeToClose: false });
  expect(tab.field(id, "description")).toBe("old");
  await act(async () => tab.server.clock.advance(800));
  expect(tab.field(id, "description")).toBe("north");
  expect(tab.status).toMatchObject({ drafts: 0, safeToClose: true });

  await type(input, "north wall");
  await act(async () => tab.page.say("hidden"));
  expect(tab.field(id, "description")).toBe("north wall");
  await act(async () => input.blur());
  await act(async () => void tab.list.update(id, { description: "from elsewhere" }));
  expect(input.value).toBe("from elsewhere");

  await act(async () => input.focus());
  await type(input, "last words");
  await unmount();
  expect(tab.field(id, "description")).toBe("last words");
});

test("text that is too long says so", async () => {
  const { tab, node, inputs } = await mounted();
  await act(async () => void tab.list.add("a"));
  const input = inputs()[0]!;
  await act(async () => input.focus());
  await type(input, "x".repeat(4097));
  await act(async () => tab.server.clock.advance(800));
  expect(node.textContent).toContain("description has 4097 bytes");
  expect(input.getAttribute("aria-invalid")).toBe("true");
});

test("it renders on a server, too", async () => {
  const { tab } = await mounted();
  await act(async () => void tab.list.add("a"));
  expect(renderToString(<Count list={tab.list} />)).toBe("<b>1</b>");
});
