// What the daemon sends before the page can be used.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";
import { Labeler } from "./labeler.mjs";

let browser, daemon;
before(async () => ([browser, daemon] = await Promise.all([launch(), Daemon.start()])));
after(() => Promise.all([browser.close(), daemon.end()]));

test("page and wasm, as the daemon sends them for the first load: under 120 KB", async () => {
  const made = await browser.newContext({ serviceWorkers: "block" });
  const page = await made.newPage();
  const sent = [];
  page.on("requestfinished", (request) => sent.push(request));
  const a = new Labeler(page);
  await page.goto(daemon.url);
  await a.ready();
  await a.says({ connection: "push" });
  const sizes = new Map();
  for (const request of sent) {
    const { protocol, pathname } = new URL(request.url());
    if (protocol === "blob:" || pathname.startsWith("/v1/") || pathname.startsWith("/photos/")) continue;
    sizes.set(pathname, (await request.sizes()).responseBodySize);
  }
  sizes.set("/sw.js", Number((await fetch(new URL("/sw.js", daemon.url), { method: "HEAD", headers: { "accept-encoding": "gzip" } })).headers.get("content-length")));
  const all = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  console.log(`first load: ${all} bytes: ${[...sizes].map(([path, bytes]) => `${path} ${bytes}`).join(", ")}`);
  assert.ok([...sizes.keys()].some((path) => path.endsWith(".wasm")), "the core is counted");
  assert.ok(all < 120_000, `${all} bytes`);
});
