// The package as a stranger gets it: packed, installed into a fresh Vite application, built,
// and driven in Chromium against the real daemon.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { launch } from "../browser/browser.mjs";
import { Daemon } from "../browser/daemon.mjs";
import { built, freshApp, pack, root, serve, typecheck } from "./app.mjs";

let directory, packed, app, daemon, browser;
const read = (path) => readFile(join(root, path), "utf8");

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "tidemark-pack-"));
  packed = await pack(directory);
  app = await freshApp(packed.tarball);
  [daemon, browser] = await Promise.all([Daemon.start(), launch()]);
});
after(async () => {
  await Promise.all([app?.end(), daemon?.end(), browser?.close()]);
  await rm(directory, { recursive: true, force: true });
});

/** Builds the application of these files, and opens it in a browser of its own. */
async function open(t, main) {
  await app.write("main.tsx", main);
  await typecheck(app.directory);
  const output = await built(app.directory);
  const site = await serve(app.directory, daemon);
  t.after(() => site.end());
  return { output, pages: () => Promise.all([0, 1].map(() => visit(t, site.url))) };
}

async function visit(t, url) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(300_000); // of a busy machine
  page.said = [];
  page.on("console", async (message) => {
    const values = await Promise.all(message.args().map((arg) => arg.jsonValue()));
    page.said.push(values);
    page.emit("said");
  });
  page.on("pageerror", (error) => page.said.push([String(error)]));
  await page.goto(url);
  return page;
}

/** Waits until the page has said something of which this is true. */
async function says(page, holds) {
  const found = () => page.said.some(holds);
  while (!found()) await new Promise((heard) => page.once("said", heard));
}

test("the tarball has what the exports name, and nothing else", () => {
  const kinds = packed.files.filter((path) => !/^dist\/[a-z]+\.(js|d\.ts)$/.test(path)).sort();
  assert.deepEqual(kinds, ["README.md", "dist/core.wasm", "package.json"]);
});

test("publint has nothing to say", async () => {
  const { messages, pkg } = await publint({ pkgDir: join(root, "web"), strict: true });
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  );
});

test("it has no dependency, and no path of the machine it was made on", async () => {
  const manifest = JSON.parse(
    await readFile(join(app.directory, "node_modules/tidemark/package.json"), "utf8"),
  );
  assert.equal(manifest.dependencies, undefined);
  for (const path of packed.files.filter((path) => path.endsWith(".js"))) {
    const text = await readFile(join(app.directory, "node_modules/tidemark", path), "utf8");
    assert.ok(!text.includes(root), path);
  }
});

/** The first block of code in a page. */
const firstBlock = (text, heading = "") =>
  /```ts\n(.*?)```/s.exec(text.slice(text.indexOf(heading)))?.[1] ??
  assert.fail("no block of code");

test("the first five lines of README.md, as they stand there, work", async (t) => {
  const start = firstBlock(await read("web/README.md"));
  assert.equal(start.split("\n").filter((line) => line && !line.startsWith("import")).length, 5);
  assert.equal(firstBlock(await read("README.md"), "## In your page"), start);
  const { pages } = await open(t, `${start}export {};\n`);
  const [page, other] = await pages();
  const holds = ([items]) =>
    Array.isArray(items) && items.some((item) => item.description === "north wall");
  await says(page, holds);
  await says(other, ([items]) => Array.isArray(items) && items.length === 2); // each added one
  const state = JSON.parse(await daemon.tell("state", "--list", "photos", "--json"));
  assert.equal(state.selectedImages.length, 2);
});

test("an application with React and the rescue file: types, build, two browsers, a restart", async (t) => {
  const { output, pages } = await open(
    t,
    `import { createRoot } from "react-dom/client";
    import { openList, type TidemarkError } from "tidemark";
    import { useDraft, useIds, useItem, useReadable } from "tidemark/react";
    import { exportRescue, importRescue } from "tidemark/rescue";
    const list = await openList({ url: "", user: "demo", list: "app", fields: ["description"] });
    const Row = ({ id }: { id: string }) => {
      const item = useItem(list, id);
      const { props } = useDraft(list, id, "description");
      return <li title={item?.imageId}><input {...props} /></li>;
    };
    const Page = () => {
      const { pending, phase } = useReadable(list.status);
      return <><p>{phase} {pending}</p><ul>{useIds(list).map((id) => <Row key={id} id={id} />)}</ul></>;
    };
    createRoot(document.getElementById("page")!).render(<Page />);
    Object.assign(globalThis, { list, exportRescue, importRescue });
    try { list.update("x", {}); } catch (error) { console.log((error as TidemarkError).code); }
    `,
  );
  const wasm = output.filter(({ fileName }) => fileName.endsWith(".wasm"));
  assert.equal(wasm.length, 1, "core.wasm is an asset of the application");
  const [page, other] = await pages();
  await says(page, ([code]) => code === "empty");
  const id = await page.evaluate(() => globalThis.list.add("img-7").id);
  await other.locator("li[title=img-7] input").fill("from the other");
  await other.locator("li[title=img-7] input").blur();
  await page.waitForFunction(() => document.querySelector("li input")?.value === "from the other");

  await daemon.down();
  await page.locator("li input").fill("while it was away");
  await page.locator("li input").blur();
  const text = await page.evaluate(() => globalThis.exportRescue(globalThis.list));
  assert.deepEqual(
    JSON.parse(text).operations.map(({ instanceId, data }) => [instanceId, data]),
    [[id, { description: "while it was away" }]],
  );
  assert.deepEqual(
    await other.evaluate((text) => globalThis.importRescue(globalThis.list, text), text),
    { added: 1, known: 0 },
  );
  await other.waitForFunction(
    () => document.querySelector("li input")?.value === "while it was away",
  );
  await daemon.up();
  for (const one of [page, other]) await one.locator("p", { hasText: "live 0" }).waitFor();
  const log = await daemon.tell("log", "--list", "app", "--json");
  const ids = JSON.parse(text).operations.map((operation) => operation.id);
  assert.equal(log.split(ids[0]).length - 1, 1, "the rescued edit is in the log once");
});
