// The examples, built and run as a person would.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../browser/browser.mjs";
import { Daemon } from "../browser/daemon.mjs";
import { built, pack, root, run, serve, typecheck } from "./app.mjs";

const PATIENCE_MS = 300_000; // of a busy machine
let directory, daemon, browser;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "tidemark-examples-"));
  await pack(directory); // the workspaces see what it built
  [daemon, browser] = await Promise.all([Daemon.start(), launch()]);
});
after(async () => {
  await Promise.all([daemon?.end(), browser?.close()]);
  await rm(directory, { recursive: true, force: true });
});

/** Adds, edits, turns and removes in one browser, and looks in another. */
async function drive(t, name) {
  const source = join(root, "examples", name);
  await typecheck(source);
  await built(source, join(source, "vite.config.ts"));
  const site = await serve(source, daemon);
  t.after(() => site.end());
  const [one, two] = await Promise.all(
    [0, 1].map(async () => {
      const context = await browser.newContext();
      t.after(() => context.close());
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      page.on("pageerror", (error) => assert.fail(String(error)));
      await page.goto(site.url);
      await page.getByRole("status").getByText("All saved").waitFor();
      return page;
    }),
  );
  const images = (page) => page.locator("li b").allTextContents();
  const before = (await images(one)).length;
  for (const image of [`${name}-1`, `${name}-2`]) {
    await one.getByLabel("Image").fill(image);
    await one.getByRole("button", { name: "Add" }).click();
  }
  const row = (page, image) => page.getByRole("listitem").filter({ hasText: image });
  await row(two, `${name}-2`).waitFor();
  await row(two, `${name}-1`).getByLabel("Description").fill("north <wall>");
  await row(two, `${name}-1`).getByLabel("Description").blur();
  await one.waitForFunction(() =>
    [...document.querySelectorAll("li input")].some(({ value }) => value === "north <wall>"),
  );
  await one.getByRole("button", { name: "Turn around" }).click();
  await two.waitForFunction(
    (name) => document.querySelector("li b")?.textContent === `${name}-2`,
    name,
  );
  assert.deepEqual((await images(one)).slice(0, 2), [`${name}-2`, `${name}-1`]);
  await one.getByRole("button", { name: "Turn around" }).click();
  await row(two, `${name}-2`).getByRole("button", { name: "Remove" }).click();
  await row(one, `${name}-2`).waitFor({ state: "detached" });
  await one.getByRole("status").getByText("All saved").waitFor();
  assert.equal((await images(one)).length, before + 1);

  await daemon.down();
  await one.getByRole("status").getByText("Offline").waitFor();
  await one.getByLabel("Image").fill(`${name}-3`);
  await one.getByRole("button", { name: "Add" }).click();
  await one.getByRole("status").getByText("1 on their way").waitFor();
  await daemon.up();
  await row(two, `${name}-3`).waitFor();
}

test("vanilla", (t) => drive(t, "vanilla"));
test("react", (t) => drive(t, "react"));

test("node: adds and prints; what was not sent is kept in a file, and goes out with the next run", async () => {
  const store = join(directory, "store.json");
  const add = async (...args) =>
    (
      await run(process.execPath, [
        join(root, "examples/node/add.mjs"),
        "--list",
        "node",
        "--url",
        daemon.url,
        "--wait",
        "300",
        ...args,
      ])
    ).stdout;
  assert.equal(await add("--image", "img-1", "--description", "one"), "img-1 one\nall saved\n");
  await daemon.down();
  assert.equal(
    await add("--image", "img-2", "--store", store, "--wait", "1"),
    `img-2 \n1 not sent, kept in ${store}\n`,
  );
  assert.match(await readFile(store, "utf8"), /img-2/);
  await daemon.up();
  assert.equal(
    await add("--image", "img-3", "--store", store),
    "img-1 one\nimg-2 \nimg-3 \nall saved\n",
  );
  await assert.rejects(add(), /which image/);
});
