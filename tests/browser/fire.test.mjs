// The browser under fire: killed at each receipt stage, its storage full, cleared, deleted or
// missing, its tabs doubled, its profile copied, its clock wrong, its line dead. Each time the
// page says what is true, and what it said was kept is there.
import assert from "node:assert/strict";
import { cp, readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { launch, Profile } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";
import { Labeler, same } from "./labeler.mjs";

let browser, daemon;
const contexts = [];
const profiles = [];

before(async () => (browser = await launch()));
after(() => browser.close());
beforeEach(async () => (daemon = await Daemon.start()));
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  await Promise.all(profiles.splice(0).map((profile) => profile.end()));
  await daemon.end();
});

async function context(options) {
  const made = await browser.newContext(options);
  contexts.push(made);
  return made;
}
const device = async () => Labeler.open(await context(), daemon.url);
async function profile() {
  const made = await Profile.make();
  profiles.push(made);
  return made;
}

/** The service worker holds the page: it can be opened without a server from now on. */
const installed = (labeler) =>
  labeler.page.evaluate(async () => {
    const { serviceWorker } = navigator;
    const taken = new Promise((done) => serviceWorker.addEventListener("controllerchange", done));
    await serviceWorker.ready;
    if (serviceWorker.controller === null) await taken;
  });

const receipt = (labeler, id, wanted) =>
  labeler.sees(`the receipt ${wanted}`, (rows, [id, wanted]) => rows.some((row) => row.id === id && row.receipt === wanted), [id, wanted]);
const markOf = (labeler, id) => labeler.row(id).getByTestId("receipt").getAttribute("aria-label");
const statusSays = (labeler, pattern) =>
  labeler.holds(String(pattern), `${pattern}.test(document.querySelector("[data-testid=status]").innerText)`);

/** How often the log has an operation that says this. */
async function logged(text) {
  const log = await daemon.tell("log", "--json");
  return log.split(text).length - 1;
}

/** Another page of the same origin, without the labeler in it. */
async function bare(context) {
  const page = await context.newPage();
  await page.goto(new URL("/icon.svg", daemon.url).href);
  return page;
}
/** All of Tidemark's databases of this origin. */
const deleteDatabases = (page) =>
  page.evaluate(async () => {
    const known = await indexedDB.databases();
    await Promise.all(
      known
        .filter(({ name }) => name.startsWith("tidemark/"))
        .map(
          ({ name }) =>
            new Promise((done, failed) => {
              const request = indexedDB.deleteDatabase(name);
              request.onsuccess = done;
              request.onerror = () => failed(request.error);
            }),
        ),
    );
    return known.length;
  });

const noLocal = () => {
  Object.defineProperty(globalThis, "localStorage", {
    get() {
      throw new DOMException("denied", "SecurityError");
    },
  });
};
const noDisk = () => {
  indexedDB.open = () => {
    throw new DOMException("denied", "SecurityError");
  };
};
const fullLocal = () => {
  Storage.prototype.setItem = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
};

/** Saves a rescue file on the page and returns its path. */
async function rescueFile({ page }, button = "rescue") {
  const download = page.waitForEvent("download");
  await page.getByTestId(button).click();
  return (await download).path();
}
async function openRescue({ page }, file) {
  await page.getByTestId("menu").click();
  await page.getByTestId("rescue-input").setInputFiles({ name: "rescue.json", mimeType: "application/json", buffer: file });
}

// ---- Killed ---------------------------------------------------------------------------

test("killed at `kept`: the page claimed no more than that, and nothing comes twice", async () => {
  const one = await profile();
  const made = await one.up();
  await made.addInitScript(noDisk);
  const a = await Labeler.open(made, daemon.url);
  await installed(a);
  const id = await a.add();
  await a.saved();
  await daemon.down("SIGKILL");
  await a.write(id, "description", "perhaps");
  await receipt(a, id, "kept");
  assert.equal(await markOf(a, id), "Kept in this browser, not sent yet");
  await one.kill();

  await daemon.up();
  const again = await Labeler.open(await one.up(), daemon.url);
  await again.saved();
  const [row] = await again.rows();
  assert.equal(row.id, id);
  assert.ok(["", "perhaps"].includes(row.description), row.description);
  assert.equal(await logged("perhaps"), row.description === "" ? 0 : 1);
});

test("killed at `on disk`: it is there when the browser starts again, and sent once", async () => {
  const one = await profile();
  const a = await Labeler.open(await one.up(), daemon.url);
  await installed(a);
  const first = await a.add(0);
  await a.saved();
  await daemon.down("SIGKILL"); // only this browser has what follows
  const id = await a.add(1);
  await a.write(id, "description", "survives");
  await receipt(a, id, "disk");
  assert.equal(await markOf(a, id), "Kept on this computer, not sent yet");
  await one.kill();

  const again = await Labeler.open(await one.up(), daemon.url);
  await again.seesText(id, "description", "survives");
  await daemon.up();
  await again.saved();
  await again.seesOnly(first, id);
  assert.equal(await logged("survives"), 1);
});

test("killed at `accepted`: the server has it, and it is not sent again", async () => {
  const one = await profile();
  const a = await Labeler.open(await one.up(), daemon.url);
  const id = await a.add();
  await a.write(id, "description", "arrived");
  await receipt(a, id, "accepted");
  await one.kill();
  assert.match(await daemon.tell("state"), /arrived/);

  const again = await Labeler.open(await one.up(), daemon.url);
  await again.seesText(id, "description", "arrived");
  await again.saved();
  assert.equal(await logged("arrived"), 1);
});

// ---- Storage that refuses --------------------------------------------------------------

test("memry#1292, twenty PR#21586: storage is full: said at once, shown, sent, and rescued into another browser", async () => {
  const made = await context();
  const a = await Labeler.open(made, daemon.url);
  await installed(a);
  const id = await a.add();
  await a.saved();
  await made.setOffline(true);
  await a.says({ connection: "offline" });
  await a.page.evaluate(() => {
    for (let size = 1 << 20; size > 0; size >>= 1) {
      for (let i = 0; ; i++) {
        try {
          localStorage.setItem(`junk/${size}/${i}`, "x".repeat(size));
        } catch {
          break;
        }
      }
    }
  });
  await a.page.evaluate(() => {
    const { put } = IDBObjectStore.prototype;
    const full = new Set();
    IDBObjectStore.prototype.put = function (...record) {
      const { transaction } = this;
      if (!full.has(transaction)) queueMicrotask(() => transaction.abort()); // as a full disk does
      full.add(transaction);
      return put.apply(this, record);
    };
  });
  await a.write(id, "description", "nowhere but here");
  await receipt(a, id, "volatile");
  await a.says({ safe: "false" });
  await statusSays(a, /1 change only in this page/);
  assert.match(await a.page.getByTestId("volatile").innerText(), /refuses to store 1 change.*no connection/s);
  const file = await readFile(await rescueFile(a));

  const b = await device(); // another browser
  await b.seesText(id, "description", "");
  await openRescue(b, file);
  await b.seesText(id, "description", "nowhere but here");
  await b.saved();
  await openRescue(b, file); // twice does no harm
  await b.saved();
  assert.equal(await logged("nowhere but here"), 1);
  await made.setOffline(false); // and the page that had it sends it too
  await a.saved();
  await same(a, b);
  assert.equal(await logged("nowhere but here"), 1);
});

test("joplin#5560: storage that refuses for a while: once there is room, all is kept again", async () => {
  const made = await context();
  const a = await Labeler.open(made, daemon.url);
  const id = await a.add();
  await a.saved();
  await made.setOffline(true);
  await a.page.evaluate(() => {
    const [set, transaction] = [Storage.prototype.setItem, IDBDatabase.prototype.transaction];
    const refuse = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    Storage.prototype.setItem = refuse;
    IDBDatabase.prototype.transaction = refuse;
    globalThis.roomAgain = () => {
      Storage.prototype.setItem = set;
      IDBDatabase.prototype.transaction = transaction;
    };
  });
  await a.write(id, "description", "first");
  await receipt(a, id, "volatile");
  await a.page.evaluate(() => globalThis.roomAgain());
  await a.write(id, "photoNumber", "2");
  await receipt(a, id, "disk");
  await a.says({ safe: "true" });
  await a.page.getByTestId("volatile").waitFor({ state: "detached" });
  await made.setOffline(false);
  await a.saved();
});

test("a rescue file of somebody else, or none at all, is refused in words and changes nothing", async () => {
  const a = await device();
  const id = await a.add();
  await a.saved();
  const files = [
    ["not json", /rescue file/i],
    [JSON.stringify({ format: "tidemark-rescue", version: 1, user: "mallory", list: "selected-images", operations: [] }), /mallory/],
    [JSON.stringify({ format: "tidemark-rescue", version: 1, user: "demo", list: "selected-images", operations: [{ id: "x" }] }), /./],
  ];
  await a.page.getByTestId("menu").click();
  for (const [text, says] of files) {
    await a.page.getByTestId("rescue-input").setInputFiles({ name: "r.json", mimeType: "application/json", buffer: Buffer.from(text) });
    await a.page.getByTestId("rescue-problem").waitFor();
    assert.match(await a.page.getByTestId("rescue-problem").innerText(), says);
  }
  await a.page.getByTestId("menu-close").click();
  await a.seesOnly(id);
});

// ---- Storage that goes, or never was ----------------------------------------------------

test("localStorage is cleared while the page is open: what was kept is put back", async () => {
  const made = await context();
  const a = await Labeler.open(made, daemon.url);
  await installed(a);
  const id = await a.add();
  await a.saved();
  const other = await bare(made);
  await daemon.down("SIGKILL");
  await a.write(id, "description", "before");
  await receipt(a, id, "disk");
  await other.evaluate(() => localStorage.clear());
  await a.write(id, "photoNumber", "2");
  await receipt(a, id, "disk");
  await a.close();
  const next = await Labeler.open(made, daemon.url);
  await next.seesText(id, "description", "before");
  await next.seesText(id, "photoNumber", "2");
  await daemon.up();
  await next.saved();
  assert.equal(await logged("before"), 1);
});

test("IndexedDB is deleted while the page is open: what was not sent is still kept, and sent", async () => {
  const made = await context();
  const a = await Labeler.open(made, daemon.url);
  const id = await a.add();
  await a.saved();
  const other = await bare(made);
  await daemon.down("SIGKILL");
  await a.write(id, "description", "before");
  await receipt(a, id, "disk");
  assert.ok((await deleteDatabases(other)) > 0);
  const added = await a.add(1); // the page goes on; what only the server has comes back with it
  await a.write(added, "description", "after");
  await receipt(a, added, "disk");
  await a.says({ pending: "3", safe: "true" });
  await daemon.up();
  await a.saved();
  await a.seesOnly(id, added);
  await a.seesText(id, "description", "before");
  assert.deepEqual([await logged("before"), await logged("after")], [1, 1]);
});

test("element-hq/element-web#9109: IndexedDB evicted, localStorage kept: nothing is lost, nothing resurrected", async () => {
  const made = await context();
  const a = await Labeler.open(made, daemon.url);
  await installed(a);
  const [stays, goes] = [await a.add(0), await a.add(1)];
  await a.saved();
  const b = await device();
  await b.seesOnly(stays, goes);
  const other = await bare(made);
  await made.setOffline(true);
  await a.write(stays, "description", "while offline");
  await receipt(a, stays, "disk");
  await a.close();
  await b.remove(goes);
  await b.saved();
  await deleteDatabases(other);
  await made.setOffline(false);
  const next = await Labeler.open(made, daemon.url);
  await next.seesOnly(stays);
  await next.seesText(stays, "description", "while offline");
  await same(next, b);
});

test("localStorage evicted, IndexedDB kept: nothing is lost", async () => {
  const made = await context();
  const a = await Labeler.open(made, daemon.url);
  await installed(a);
  const id = await a.add();
  await a.saved();
  const other = await bare(made);
  await made.setOffline(true);
  await a.write(id, "description", "while offline");
  await receipt(a, id, "disk");
  await a.close();
  await other.evaluate(() => localStorage.clear());
  const next = await Labeler.open(made, daemon.url);
  await next.seesText(id, "description", "while offline");
  await made.setOffline(false);
  await next.saved();
  assert.equal(await logged("while offline"), 1);
});

for (const [what, script, stage, words, weak] of [
  ["no localStorage", noLocal, "disk", "Kept on this computer, not sent yet", /localStorage.*a moment after/],
  ["no IndexedDB", noDisk, "kept", "Kept in this browser, not sent yet", /IndexedDB.*not a crash/],
]) {
  test(`${what} at start: the other one keeps, and the page says how far that goes`, async () => {
    const made = await context();
    await made.addInitScript(script);
    const a = await Labeler.open(made, daemon.url);
    await installed(a);
    assert.match(await a.page.getByTestId("weak-storage").innerText(), weak);
    await a.page.getByTestId("weak-storage-dismiss").click();
    await a.page.getByTestId("notices").waitFor({ state: "detached" });
    await a.add(0);
    await a.saved();
    await made.setOffline(true);
    const id = await a.add(1);
    await a.write(id, "description", "with half of it");
    await receipt(a, id, stage);
    assert.equal(await markOf(a, id), words);
    await a.says({ safe: "true" });
    await a.reload();
    await a.seesText(id, "description", "with half of it");
    await made.setOffline(false);
    await a.saved();
    assert.equal(await logged("with half of it"), 1);
  });
}

test("no storage at all: edits reach the server, and until then the page says where they are", async () => {
  const made = await context();
  await made.addInitScript(noDisk);
  await made.addInitScript(fullLocal);
  const a = await Labeler.open(made, daemon.url);
  const weak = await a.page.getByTestId("weak-storage").innerText();
  assert.match(weak, /stores nothing.*only in this open page/s);
  const id = await a.add();
  await a.saved();
  await daemon.down("SIGSTOP");
  await a.write(id, "description", "only here");
  await receipt(a, id, "volatile");
  assert.equal(await markOf(a, id), "Only in this open page: nothing here stores it");
  await a.says({ safe: "false" });
  daemon.resume();
  await a.saved();
  await a.page.getByTestId("volatile").waitFor({ state: "detached" });
  assert.match(await daemon.tell("state"), /only here/);
});

// ---- Doubles ---------------------------------------------------------------------------

test("two tabs edit at once, without a server: both are kept, both are sent, once", async () => {
  const made = await context();
  const [a, b] = [await Labeler.open(made, daemon.url), await Labeler.open(made, daemon.url)];
  const [x, y] = [await a.add(0), await b.add(1)];
  await Promise.all([a.seesOnly(x, y), b.seesOnly(x, y)]);
  await daemon.down("SIGKILL");
  await Promise.all([a.write(x, "description", "from one tab"), b.write(y, "description", "from the other")]);
  await Promise.all([receipt(a, x, "disk"), receipt(b, y, "disk")]);
  await daemon.up();
  await same(a, b);
  assert.deepEqual([await logged("from one tab"), await logged("from the other")], [1, 1]);
});

test("y-crdt#361, hocuspocus#850: a duplicated tab is a writer of its own", async () => {
  const made = await context();
  const a = await Labeler.open(made, daemon.url);
  const id = await a.add();
  await a.saved();
  await a.page.evaluate(() => sessionStorage.setItem("anything", "copied"));
  const opened = made.waitForEvent("page");
  await a.page.evaluate(() => void window.open(location.href)); // with its opener: sessionStorage is copied
  const b = new Labeler(await opened);
  await b.ready();
  assert.equal(await b.page.evaluate(() => sessionStorage.getItem("anything")), "copied");
  await Promise.all([a.write(id, "photoNumber", "1"), b.write(id, "description", "the double")]);
  await a.seesText(id, "description", "the double");
  await b.seesText(id, "photoNumber", "1");
  await same(a, b);
  await daemon.tell("verify");
});

test("gutenberg#74558: a copied profile directory: what both have is sent once, what each makes is kept", async () => {
  const one = await profile();
  const a = await Labeler.open(await one.up(), daemon.url);
  await installed(a);
  const id = await a.add();
  await a.saved();
  await daemon.down("SIGKILL");
  await a.write(id, "description", "made before the copy");
  await receipt(a, id, "disk");
  await one.kill();
  const copy = await profile();
  await cp(one.directory, copy.directory, { recursive: true, verbatimSymlinks: true, filter: (path) => !/Singleton/.test(path) });
  await daemon.up();
  const [x, y] = await Promise.all([one, copy].map(async (each) => Labeler.open(await each.up(), daemon.url)));
  await Promise.all([x.write(id, "photoNumber", "7"), y.add(3)]);
  await same(x, y);
  assert.equal(await logged("made before the copy"), 1);
  const rows = await x.rows();
  assert.equal(rows.length, 2);
  assert.equal(rows[0].photoNumber, "7");
  await daemon.tell("verify");
});

// ---- Time, history, and the line ---------------------------------------------------------

test("actual#3786, #8486: the clock jumps a century ahead, and back: the later edit wins", async () => {
  const made = await context();
  await made.addInitScript(() => {
    const now = Date.now;
    globalThis.skew = 0;
    Date.now = () => now() + globalThis.skew;
  });
  const a = await Labeler.open(made, daemon.url);
  const b = await device();
  const id = await a.add();
  await b.seesOnly(id);
  await a.page.evaluate(() => (globalThis.skew = 100 * 365 * 86_400_000));
  await a.write(id, "description", "from the year 2126");
  await b.seesText(id, "description", "from the year 2126");
  await b.write(id, "description", "later, by a right clock");
  await b.saved();
  await a.reload(); // no window of the guard is left
  await a.seesText(id, "description", "later, by a right clock");
  await a.page.evaluate(() => (globalThis.skew = -40 * 365 * 86_400_000));
  await a.write(id, "description", "latest, by a clock that is slow");
  await b.reload();
  await b.seesText(id, "description", "latest, by a clock that is slow");
  await same(a, b);
});

test("away and back (bfcache): the old page finds what was done meanwhile, and goes on", async () => {
  const one = await profile(); // Playwright's own launch switches the cache off
  const a = await Labeler.open(await one.up(), daemon.url);
  const b = await device();
  const id = await a.add();
  await b.seesOnly(id);
  await a.page.evaluate(() => {
    globalThis.living = "still";
    addEventListener("pageshow", ({ persisted }) => (globalThis.restored = persisted));
  });
  await a.field(id, "description").click();
  await a.page.keyboard.type("typed and left");
  await a.page.goto(new URL("/icon.svg", daemon.url).href);
  await b.seesText(id, "description", "typed and left"); // the draft was written, and sent
  await b.write(id, "photoNumber", "9");
  await b.saved();
  await a.page.goBack({ waitUntil: "commit" });
  assert.deepEqual(await a.page.evaluate(() => [globalThis.living, globalThis.restored]), ["still", true]);
  await a.seesText(id, "photoNumber", "9");
  await a.write(id, "description", "back again");
  await b.seesText(id, "description", "back again");
  await same(a, b);
});

test("amplify-js#9979: the line is cut and the socket left open: the page finds out, keeps, and sends", async () => {
  const made = await context();
  const a = new Labeler(await made.newPage());
  await a.page.clock.install();
  await a.page.goto(daemon.url);
  await a.ready();
  const id = await a.add();
  await a.saved();
  await daemon.down("SIGSTOP"); // every socket stays open, nothing answers
  await a.write(id, "description", "into the void");
  await receipt(a, id, "disk");
  await a.says({ pending: "1", connection: "push" }); // nobody can know yet
  for (let i = 0; i < 12 && (await a.status()).connection !== "offline"; i++) await a.page.clock.fastForward(10_000);
  await a.says({ pending: "1", connection: "offline" });
  await a.page.clock.fastForward(5_000);
  await statusSays(a, /Offline since \d\d[:.]\d\d.*1 change kept here/);
  daemon.resume();
  await a.page.clock.fastForward(60_000);
  await a.saved();
  assert.equal(await logged("into the void"), 1);
});
