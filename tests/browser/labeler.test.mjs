// The page as a person meets it: photographs of a directory, thousands of them, every way to
// add one, every state it can be in.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";
import { Labeler, same } from "./labeler.mjs";
import { everyName, fill, names, thousands } from "./photographs.mjs";
import { countRenders, nodeCount, rendered, scrollThrough, violations } from "./watch.mjs";

const PHOTOS = 5000;
const SELECTED = 1000;

let browser, room, many, few;
const contexts = [];
const daemons = [];

before(async () => {
  browser = await launch();
  room = mkdtempSync(join(tmpdir(), "tidemark-photos-"));
  [many, few] = [join(room, "many"), join(room, "few")];
  const page = await browser.newPage();
  await everyName(page, few);
  await thousands(page, many, PHOTOS);
  await page.close();
});
after(async () => {
  await browser.close();
  rmSync(room, { recursive: true, force: true });
});
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  await Promise.all(daemons.splice(0).map((daemon) => daemon.end()));
});

async function serve(options) {
  const daemon = await Daemon.start(options);
  daemons.push(daemon);
  return daemon;
}
async function context(options) {
  const made = await browser.newContext(options);
  contexts.push(made);
  return made;
}
const device = async (daemon, options) => Labeler.open(await context(options), daemon.url);
const photo = (labeler, n) => labeler.page.getByTestId("photo").nth(n);
const words = (labeler) => labeler.page.getByTestId("status").innerText();

/** Waits until all pictures in view are there, or known not to be. */
const pictures = (labeler) =>
  labeler.holds("every picture in view", `[...document.querySelectorAll(".tile .thumb")].every((one) => one.dataset.thumb !== "waiting")`);

test("photographs of a directory: jpg, png, webp, gif, names of any length and script", async () => {
  const a = await device(await serve({ photos: few }));
  await pictures(a);
  const shown = await a.page.evaluate(() =>
    [...document.querySelectorAll("[data-testid=photo]")].map((tile) => ({
      name: tile.title,
      thumb: tile.querySelector(".thumb").dataset.thumb,
      width: tile.querySelector("img")?.naturalWidth,
      overflows: tile.scrollWidth > tile.clientWidth + 1,
    })),
  );
  assert.deepEqual(
    shown.filter(({ thumb }) => thumb === "ready").map(({ name }) => name).sort(),
    [...names].sort(),
  );
  for (const { name, thumb, width, overflows } of shown) {
    assert.equal(overflows, false, `${name} stays in its tile`);
    if (thumb === "ready") assert.equal(width, 320, `${name} was made small`);
  }
  assert.deepEqual(
    shown.filter(({ thumb }) => thumb === "broken").map(({ name }) => name),
    ["torn.jpg", "zz nonsense.png"],
    "what cannot be decoded is a quiet placeholder",
  );
  const id = await a.add(0);
  await a.saved();
  assert.equal(await a.row(id).locator(".name").innerText(), await photo(a, 0).locator(".name").innerText());
  assert.deepEqual(a.errors, []);
});

test("small pictures are made once: the next load has them without the server's files", async () => {
  const daemon = await serve({ photos: few });
  const a = await device(daemon);
  await pictures(a);
  await a.holds("all remembered", `caches.open("thumbnails").then((store) => store.keys()).then((keys) => (globalThis.kept = keys.length)), globalThis.kept === ${names.length}`);
  let fetched = 0;
  a.page.on("request", (request) => (fetched += /\/v1\/photos\/./.test(request.url()) ? 1 : 0));
  await a.reload();
  await pictures(a);
  assert.equal(fetched, 2, "only what could not be decoded is asked for again");
});

test("5,000 photos and 1,000 selected: no blank row in any frame, few nodes, pictures let go", async () => {
  const daemon = await serve({ photos: many });
  await fill(daemon, SELECTED);
  const a = await device(daemon);
  await a.holds("the whole list", `document.querySelector("[data-testid=selected-count]").innerText === "${SELECTED}"`);
  assert.equal(await a.page.getByTestId("photo-count").innerText(), String(PHOTOS));
  const nodes = await nodeCount(a.page);
  assert.ok(nodes < 1600, `${nodes} nodes`);
  await a.page.evaluate(() => {
    globalThis.urls = new Set();
    globalThis.made = 0;
    const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
    URL.createObjectURL = (blob) => {
      const url = make(blob);
      globalThis.made++;
      globalThis.urls.add(url);
      return url;
    };
    URL.revokeObjectURL = (url) => (globalThis.urls.delete(url), revoke(url));
  });
  for (const [testid, parts] of [
    ["photo-scroll", [[0, 0.06], [0.5, 0.54], [0.96, 1]]],
    ["row-scroll", [[0, 0.3], [0.9, 1]]],
  ]) {
    for (const [from, to] of parts) {
      const { frames, blanks } = await scrollThrough(a.page, testid, { from, to });
      assert.ok(frames > 8, `${frames} frames of ${testid}`);
      assert.equal(blanks, 0, `blank frames of ${frames} in ${testid}, ${from} to ${to}`);
    }
  }
  await pictures(a);
  const scrolled = await nodeCount(a.page);
  assert.ok(scrolled < 1600, `${scrolled} nodes after scrolling`);
  for (let part = 0; part < 10; part++) { // far apart: other pictures each time
    await a.page.getByTestId("photo-scroll").evaluate((scroller, part) => (scroller.scrollTop = (scroller.scrollHeight * part) / 10), part);
    await a.page.evaluate(() => new Promise(requestAnimationFrame));
    await pictures(a);
  }
  const { made, held } = await a.page.evaluate(() => ({ made: globalThis.made, held: globalThis.urls.size }));
  assert.ok(made > 330, `${made} pictures were made`);
  assert.ok(held < 330, `${held} pictures held`);
});

test("one edit renders one row, here and in the other browser", async () => {
  const daemon = await serve({ photos: many });
  const ids = await fill(daemon, SELECTED);
  const [one, other] = [await context(), await context()];
  await Promise.all([countRenders(one), countRenders(other)]);
  const [a, b] = [await Labeler.open(one, daemon.url), await Labeler.open(other, daemon.url)];
  for (const labeler of [a, b]) {
    await pictures(labeler);
    await labeler.seesText(ids[2], "description", "Photo 3 of the roll");
  }
  const there = await rendered(b.page, async () => {
    const here = await rendered(a.page, async () => {
      await a.write(ids[2], "description", "rendered once");
      await a.saved();
    });
    assert.deepEqual(here.rows, [ids[2]]);
    await b.seesText(ids[2], "description", "rendered once");
  });
  assert.deepEqual(there, { rows: [ids[2]], lists: 0 });
});

test("add by click, by drag, by key: roving focus, Enter and Space", async () => {
  const a = await device(await serve());
  const { page } = a;
  await a.add(0);
  await photo(a, 1).dragTo(page.getByTestId("row-scroll"));
  await a.sees("two rows", (rows) => rows.length === 2);
  await page.keyboard.press("Alt+KeyP");
  const focused = () => page.evaluate(() => document.activeElement.dataset.imageId);
  const at = (n) => photo(a, n).getAttribute("data-image-id");
  await page.keyboard.press("Home");
  assert.equal(await focused(), await at(0));
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  assert.equal(await focused(), await at(2));
  await page.keyboard.press("Enter");
  await a.sees("three rows", (rows) => rows.length === 3);
  await page.keyboard.press("End");
  assert.equal(await focused(), await at(11));
  await page.keyboard.press(" ");
  await a.sees("four rows", (rows) => rows.length === 4);
  await page.keyboard.press("ArrowUp");
  assert.equal(await focused(), await at(8), "a line up, three to a line");
  assert.equal(await page.locator(".tile[tabindex='0']").count(), 1, "one stop for Tab");
  assert.deepEqual((await a.rows()).map(({ image }) => image), [await at(0), await at(1), await at(2), await at(11)]);
});

test("keys reach what is far from view, and the focus stays with its row", async () => {
  const daemon = await serve({ photos: many });
  const ids = await fill(daemon, SELECTED);
  const a = await device(daemon);
  const { page } = a;
  await page.keyboard.press("Alt+KeyP");
  await page.keyboard.press("End");
  await a.holds("the last photo", `document.activeElement.closest("li")?.getAttribute("aria-posinset") === "${PHOTOS}"`);
  await a.seesText(ids[0], "description", "Photo 1 of the roll");
  await a.field(ids[0], "description").click();
  await page.keyboard.type(" typed");
  await page.getByTestId("row-scroll").evaluate((scroller) => (scroller.scrollTop = scroller.scrollHeight));
  await a.holds("the last row", `[...document.querySelectorAll("[data-testid=row]")].some((row) => row.dataset.id === "${ids.at(-1)}")`);
  await page.keyboard.type(" on");
  assert.equal(await a.field(ids[0], "description").inputValue(), "Photo 1 of the roll typed on");
  await page.keyboard.press("Enter");
  await a.holds("the next row's field", `document.activeElement.closest("[data-id]")?.dataset.id === "${ids[1]}" && document.activeElement.dataset.testid === "description"`);
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.press("Escape");
  await a.saved();
  assert.match(await daemon.tell("state"), /Photo 1 of the roll typed on/);
});

test("keys: / finds, ? shows them all, Escape leads back", async () => {
  const a = await device(await serve({ photos: few }));
  const { page } = a;
  await page.keyboard.press("/");
  await page.keyboard.type("CAFE, DEJA");
  await a.holds("one photo", `document.querySelectorAll("[data-testid=photo]").length === 1`);
  assert.match(await photo(a, 0).getAttribute("title"), /café/);
  await page.keyboard.type(" noir");
  await page.getByTestId("nothing-found").waitFor();
  await page.keyboard.press("Escape");
  await a.holds("all photos", `document.querySelectorAll("[data-testid=photo]").length === ${names.length + 2}`);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("?");
  await page.getByTestId("keys").waitFor();
  assert.match(await page.getByTestId("keys").innerText(), /Enter/);
  await page.keyboard.press("Escape");
  await page.getByTestId("menu-dialog").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), "menu");
});

test("a removed photo comes back by Undo, with what was written about it", async () => {
  const a = await device(await serve());
  const id = await a.add();
  await a.write(id, "photoNumber", "12");
  await a.write(id, "description", "sunset");
  await a.remove(id);
  await a.page.getByTestId("undo").click();
  await a.sees("it is back", (rows) => rows.length === 1 && rows[0].photoNumber === "12" && rows[0].description === "sunset");
  await a.saved();
  assert.notEqual((await a.rows())[0].id, id, "as a new one: removal is final");
});

test("a superseded value comes back by Restore", async () => {
  const daemon = await serve();
  const [a, b] = [await device(daemon), await device(daemon)];
  const id = await a.add();
  await b.seesOnly(id);
  await a.page.context().setOffline(true);
  await a.write(id, "description", "mine");
  await b.later(Date.now());
  await b.write(id, "description", "theirs");
  await b.saved();
  await a.page.context().setOffline(false);
  await a.page.getByTestId("restore").click();
  await a.page.getByTestId("superseded").waitFor({ state: "detached" });
  await b.seesText(id, "description", "mine");
  await same(a, b);
});

test("what the server refuses is shown, and can be tried again or dropped", async () => {
  const a = await device(await serve());
  const id = await a.add();
  await a.saved();
  let refusing = true;
  const refuse = (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => server.send(message));
    server.onMessage((message) => {
      if (!refusing || !String(message).includes('"SAVED"')) return socket.send(message);
      const saved = JSON.parse(message);
      for (const ack of saved.acks ?? []) Object.assign(ack, { status: "rejected", code: "refused-by-policy", seq: undefined, timestamp: undefined, logical: undefined });
      socket.send(JSON.stringify(saved));
    });
  };
  await a.page.routeWebSocket(/\/v1\/ws$/, refuse);
  await a.reload();
  await a.says({ connection: "push" });
  await a.write(id, "description", "not allowed");
  const letter = a.page.getByTestId("dead-letter");
  await letter.waitFor();
  assert.match(await letter.innerText(), /Writing “not allowed” was refused: the server does not allow it/);
  await a.page.getByTestId("discard").click();
  await letter.waitFor({ state: "detached" });
  await a.write(id, "description", "not yet");
  await letter.waitFor();
  refusing = false;
  await a.page.getByTestId("retry").click();
  await letter.waitFor({ state: "detached" });
  await a.saved();
  await a.sees("the retry is saved", (rows) => rows[0].description === "not yet" && rows[0].receipt === "accepted");
});

test("the status line and the marks say how things stand, in words", async () => {
  const daemon = await serve();
  const a = await device(daemon);
  const mark = (id) => a.row(id).getByTestId("receipt").getAttribute("aria-label");
  const id = await a.add();
  await a.saved();
  await a.holds("saved", `document.querySelector("[data-testid=status]").innerText.includes("All changes saved")`);
  assert.match(await mark(id), /^Saved/);
  await daemon.down("SIGKILL");
  await a.write(id, "description", "kept");
  await a.holds("since when", `/Offline since \\d\\d[:.]\\d\\d.*1 change kept here/.test(document.querySelector("[data-testid=status]").innerText)`);
  await a.sees("on disk", (rows) => rows[0].receipt === "disk");
  assert.equal(await mark(id), "Kept on this computer, not sent yet");
  assert.equal(await a.row(id).getByTestId("receipt").getAttribute("title"), await mark(id), "on hover too");
  await daemon.up();
  await a.holds("saved again", `document.querySelector("[data-testid=status]").innerText.includes("All changes saved")`);
  assert.match(await words(a), /All changes saved/);
});

test("the catalogue fails, and is asked again; the list is not touched by it", async () => {
  const daemon = await serve();
  const made = await context();
  let failing = true;
  await made.route("**/v1/photos", (route) => (failing ? route.fulfill({ status: 503, body: "{}" }) : route.continue()));
  const a = new Labeler(await made.newPage());
  await a.page.goto(daemon.url);
  await a.page.getByTestId("catalogue-failed").waitFor();
  await a.page.getByTestId("nothing-selected").waitFor();
  failing = false;
  await a.page.getByTestId("catalogue-again").click();
  await a.page.getByTestId("photo").first().waitFor();
});

test("nothing jumps: what lies above the page moves nothing under it", async () => {
  const daemon = await serve({ photos: few });
  const made = await context();
  await made.addInitScript(() => {
    globalThis.shift = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) globalThis.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  const a = await Labeler.open(made, daemon.url);
  const b = await device(daemon);
  await pictures(a);
  const id = await a.add();
  await a.write(id, "description", "mine");
  await b.seesText(id, "description", "mine");
  const places = () =>
    a.page.evaluate(() =>
      [...document.querySelectorAll("header, .pane, .scroll, .tile")].map((element) => {
        const { x, y, width, height } = element.getBoundingClientRect();
        return [x, y, width, height].join(" ");
      }),
    );
  const before = await places();
  await b.remove(id);
  await a.page.getByTestId("superseded").waitFor();
  assert.deepEqual(await places(), before);
  const shift = await a.page.evaluate(() => globalThis.shift);
  assert.ok(shift < 0.01, `layout shift ${shift}`);
});

test("on a phone: one pane at a time, nothing wider than the screen", async () => {
  const a = await device(await serve({ photos: few }), { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true });
  await photo(a, 0).tap();
  await a.page.getByTestId("go-list").tap();
  await a.sees("the row", (rows) => rows.length === 1);
  const [{ id }] = await a.rows();
  await a.write(id, "description", "from the phone");
  await a.saved();
  const beyond = await a.page.evaluate(() =>
    [...document.querySelectorAll("header *, nav *, .head *, .row *")]
      .filter((element) => element.getBoundingClientRect().right > innerWidth)
      .map((element) => element.outerHTML.slice(0, 120)),
  );
  assert.deepEqual(beyond, []);
  assert.equal(await a.page.getByTestId("photo").first().isVisible(), false);
});

test("axe finds nothing, in every state, light and dark", async () => {
  const daemon = await serve({ photos: few });
  const found = [];
  const look = async (state, { page }) => {
    for (const [colorScheme, rules] of [["light"], ["dark", ["color-contrast"]]]) { // the rest has no colour
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const violation of await violations(page, rules)) found.push(`${state}, ${colorScheme}: ${violation}`);
    }
  };
  const [a, b] = [await device(daemon), await device(daemon)];
  await pictures(a);
  await look("empty", a);
  const [x, y] = [await a.add(0), await a.add(1)];
  await a.write(x, "description", "mine");
  await b.seesText(x, "description", "mine");
  await look("live", a);
  await a.page.context().setOffline(true);
  await a.write(x, "description", "mine again");
  await b.write(x, "description", "theirs");
  await b.remove(y);
  await b.saved();
  await a.holds("offline", `/Offline since/.test(document.querySelector("[data-testid=status]").innerText)`);
  await look("offline", a);
  await a.page.context().setOffline(false);
  await a.page.getByTestId("superseded").first().waitFor();
  await a.field(x, "photoNumber").click();
  await look("conflict, a field in use", a);
  await a.page.getByTestId("menu").click();
  await a.page.getByTestId("keys").waitFor();
  await look("menu", a);
  await a.page.getByTestId("menu-close").click();
  await a.page.getByTestId("find").fill("nothing like it");
  await a.page.getByTestId("nothing-found").waitFor();
  await look("nothing found", a);
  const phone = await device(daemon, { viewport: { width: 360, height: 640 }, isMobile: true });
  await look("phone, photos", phone);
  await phone.page.getByTestId("go-list").click();
  await look("phone, list", phone);

  const bare = await context();
  await bare.route("**/v1/photos", (route) => route.fulfill({ status: 503, body: "{}" }));
  await bare.addInitScript(() => {
    Storage.prototype.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    indexedDB.open = () => {
      throw new DOMException("denied", "SecurityError");
    };
  });
  const failing = new Labeler(await bare.newPage());
  await failing.page.goto(daemon.url);
  await failing.page.getByTestId("catalogue-failed").waitFor();
  await failing.row(x).waitFor(); // the list may come later than that
  await bare.setOffline(true);
  await failing.write(x, "description", "in this page only");
  await failing.page.getByTestId("volatile").waitFor();
  await look("no catalogue, no storage, no network", failing);

  const waiting = await context();
  await waiting.route("**/v1/**", (route) => route.abort());
  const opening = await waiting.newPage();
  await opening.goto(daemon.url);
  await opening.getByText("The server does not answer").waitFor();
  await look("the server does not answer", { page: opening });
  assert.deepEqual(found, []);
});
