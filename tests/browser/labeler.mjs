// The labeler as a person uses it: what stands on the page, and what can be done there.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

const PATIENCE_MS = 20_000;
const PATIENCE = { timeout: PATIENCE_MS };
const CLOCKS_APART_MS = 2_500;

/**
 * Waits, in the page and frame by frame, until `expression` is true. Playwright's own
 * waitForFunction needs eval, which the page's Content-Security-Policy rightly refuses.
 */
async function until(page, expression) {
  const held = await page.evaluate(`new Promise((done) => {
    const end = performance.now() + ${PATIENCE_MS};
    const look = () => {
      if (${expression}) done(true);
      else if (performance.now() > end) done(false);
      else requestAnimationFrame(look);
    };
    look();
  })`);
  assert.ok(held, "it did not come");
}

/** In the page: what is shown, in order. */
const shownRows = () =>
  [...document.querySelectorAll("[data-testid=row]")].map((row) => ({
    id: row.dataset.id,
    image: row.querySelector("[data-image-id]").dataset.imageId,
    photoNumber: row.querySelector("[data-testid=photoNumber]").value,
    description: row.querySelector("[data-testid=description]").value,
    receipt: row.querySelector("[data-testid=receipt]").dataset.receipt,
  }));

export class Labeler {
  /** A page of this context on this server, opened and showing the list. */
  static async open(context, url) {
    const labeler = new Labeler(await context.newPage());
    labeler.page.on("pageerror", (error) => labeler.errors.push(error.message));
    labeler.page.on("console", (message) => {
      if (/Content.Security.Policy|Trusted/i.test(message.text())) labeler.errors.push(message.text());
    });
    await labeler.page.goto(url);
    await labeler.ready();
    return labeler;
  }

  errors = [];

  constructor(page) {
    this.page = page;
  }

  async ready() {
    await this.page.getByTestId("rows").waitFor({ state: "attached", ...PATIENCE });
    await this.page.getByTestId("photo").first().waitFor(PATIENCE);
  }

  async reload() {
    await this.page.reload();
    await this.ready();
  }

  /** Closes the tab without a farewell: no handler of the page is asked. */
  async close() {
    await this.page.close({ runBeforeUnload: false });
  }

  rows() {
    return this.page.evaluate(shownRows);
  }

  /** Adds the catalogue's n-th photo, and waits until it is shown. Returns its row's id. */
  async add(n = 0) {
    const known = (await this.rows()).map(({ id }) => id);
    const photo = this.page.getByTestId("photo").nth(n);
    const image = await photo.getAttribute("data-image-id");
    await photo.click();
    await this.sees(
      "the photo's row", // another browser may add other photos meanwhile
      (rows, [ids, wanted]) => rows.some((row) => row.image === wanted && !ids.includes(row.id)),
      [known, image],
    );
    return (await this.rows()).find((row) => row.image === image && !known.includes(row.id)).id;
  }

  row(id) {
    return this.page.locator(`[data-testid=row][data-id="${id}"]`);
  }

  field(id, name) {
    return this.row(id).getByTestId(name);
  }

  /** Types like a person, and leaves the field. */
  async write(id, name, text) {
    const input = this.field(id, name);
    await input.click();
    await input.fill(text);
    await input.blur();
  }

  async remove(id) {
    await this.row(id).getByTestId("remove").click();
    await this.sees("the row go", (rows, gone) => !rows.some((row) => row.id === gone), id);
  }

  async turn() {
    await this.page.getByTestId("sort").click();
  }

  sort() {
    return this.page.getByTestId("sort").getAttribute("data-sort");
  }

  /** Waits until `holds(rows, wanted)` is true of what is shown. */
  async sees(what, holds, wanted = null) {
    try {
      await until(this.page, `(${holds})((${shownRows})(), ${JSON.stringify(wanted)})`);
    } catch (error) {
      const shown = JSON.stringify(await this.rows().catch(() => "nothing"));
      const status = await this.status().catch(() => undefined);
      throw new Error(`waited for: ${what}; shown is ${shown}, ${JSON.stringify(status)}`, { cause: error });
    }
  }

  /** Waits until an expression of the page's is true. */
  async holds(what, expression) {
    try {
      await until(this.page, expression);
    } catch (error) {
      throw new Error(`waited for: ${what}; ${expression}`, { cause: error });
    }
  }

  /** Waits until one field shows this text. */
  seesText(id, name, text) {
    const holds = (rows, [row, field, value]) => rows.some((one) => one.id === row && one[field] === value);
    return this.sees(`${name} "${text}"`, holds, [id, name, text]);
  }

  /** Waits until these rows, and no others, are shown. */
  seesOnly(...ids) {
    const holds = (rows, all) => rows.length === all.length && rows.every(({ id }) => all.includes(id));
    return this.sees(`the rows ${ids.join(", ")} alone`, holds, ids);
  }

  status() {
    return this.page.getByTestId("status").evaluate(({ dataset }) => ({ ...dataset }));
  }

  /** Waits until the status line's data has these values. */
  async says(wanted) {
    try {
      const line = `document.querySelector("[data-testid=status]")?.dataset ?? {}`;
      const holds = (data, values) => Object.entries(values).every(([name, value]) => data[name] === value);
      await until(this.page, `(${holds})(${line}, ${JSON.stringify(wanted)})`);
    } catch (error) {
      throw new Error(`waited for ${JSON.stringify(wanted)}; the page says ${JSON.stringify(await this.status())}`, {
        cause: error,
      });
    }
  }

  /**
   * Waits until this page's clock is past `ms` by more than two measures of it can be apart:
   * each may be off by half of the round trip that it was made with, which on a busy machine
   * takes seconds (SEMANTICS 4). What is written then is the newer.
   */
  async later(ms) {
    await this.holds("a later time", `Date.now() > ${ms + CLOCKS_APART_MS}`);
  }

  /** Everything made here is on the server. */
  saved() {
    return this.says({ pending: "0", safe: "true" });
  }
}

/** What the list says, shown by this page: not how far its edits have come. */
async function list(labeler) {
  const rows = (await labeler.rows()).map(({ receipt: _, ...row }) => row);
  return { rows, sort: await labeler.sort() };
}

/** All of these pages come to show the same rows, in the same order, and the same direction. */
export async function same(...labelers) {
  await Promise.all(labelers.map((one) => one.saved()));
  const end = performance.now() + PATIENCE_MS;
  let shown;
  let equal = false;
  while (!equal) { // a page may have all its own on the server and wait for the others'
    assert.ok(performance.now() < end, `the same is not shown: ${JSON.stringify(shown)}`);
    await labelers[0].page.evaluate(() => new Promise(requestAnimationFrame));
    shown = await Promise.all(labelers.map(list));
    equal = shown.every((one) => isDeepStrictEqual(one, shown[0]));
  }
  for (const { errors } of labelers) assert.deepEqual(errors, []);
  return shown[0].rows;
}
