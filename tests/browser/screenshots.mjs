// The pictures in docs/images, made anew: `make screenshots`. The real daemon, the sample
// photographs, and each state as it comes about in life. `node screenshots.mjs NAME...` makes
// some of them.
import { mkdirSync, writeFileSync } from "node:fs";
import { launch } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";
import { Labeler } from "./labeler.mjs";
import { palettePng } from "./palette.mjs";

const out = new URL("../../docs/images/", import.meta.url);
const only = process.argv.slice(2);
const WIDE = { width: 1280, height: 800 };
const PHONE = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const BYTES_MAX = 250_000;

/** The sample photographs by their place in the catalogue, as somebody labels them. */
const labels = [
  [0, "101", "Fishing boats coming in, last light"],
  [5, "102", "North face from the hut, first sun"],
  [11, "", "Alpine lake, no wind at all"],
  [8, "104", "Rooftops from the bell tower"],
  [9, "105", ""],
  [7, "106", "Keeper's light, the evening before the storm"],
  [4, "", ""],
];

const browser = await launch();
const daemon = await Daemon.start({ user: "ann" });

async function open({ offline = false, ...options } = {}) {
  const context = await browser.newContext({ viewport: WIDE, colorScheme: "light", locale: "en-GB", ...options });
  const labeler = await Labeler.open(context, daemon.url);
  await pictures(labeler);
  return labeler;
}

/** All thumbnails in view are there, and the pointer rests nowhere. */
async function pictures({ page }) {
  await page.mouse.move(0, 0);
  await page.evaluate(
    () =>
      new Promise((done) => {
        const end = performance.now() + 10_000;
        const look = () => {
          const waiting = [...document.querySelectorAll(".thumb")].some(
            (thumb) => thumb.dataset.thumb === "waiting" || thumb.querySelector("img")?.complete === false,
          );
          if (!waiting || performance.now() > end) requestAnimationFrame(done);
          else requestAnimationFrame(look);
        };
        look();
      }),
  );
}

/** Nothing moves any more, and the status line has said what it has to say. */
async function shoot(name, { page }, status = "All changes saved") {
  if (only.length > 0 && !only.includes(name)) return;
  await page.getByTestId("status").getByText(status).waitFor();
  await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)));
  const shot = await page.screenshot();
  const decoder = await browser.newPage();
  const { rgba, width, height } = await decoder.evaluate(async (png) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    let text = "";
    for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
    return { rgba: btoa(text), width: image.width, height: image.height };
  }, shot.toString("base64"));
  await decoder.close();
  const file = palettePng(new Uint8ClampedArray(Buffer.from(rgba, "base64")), width, height);
  if (width > 1600 || file.length > BYTES_MAX) throw new Error(`${name}: ${width} px, ${file.length} bytes`);
  mkdirSync(out, { recursive: true });
  writeFileSync(new URL(`${name}.png`, out), file);
  console.log(`${name}.png  ${width} x ${height}  ${file.length} bytes`);
}

try {
  const empty = await open();
  await shoot("empty", empty);

  const ann = empty;
  const ids = [];
  for (const [photo, number, text] of labels) {
    const id = await ann.add(photo);
    ids.push(id);
    if (number) await ann.write(id, "photoNumber", number);
    if (text) await ann.write(id, "description", text);
  }
  await ann.saved();
  const other = await open();
  await ann.sees("what the other has seen", (rows) => rows.slice(0, 3).every(({ receipt }) => receipt === "seen"));
  await ann.field(ids[4], "description").click();
  await ann.page.keyboard.type("Two sails and a fair wind");
  await ann.saved();
  await ann.sees("all seen", (rows) => rows.every(({ receipt }) => receipt === "seen"));
  await pictures(ann);
  await shoot("wide-light", ann);
  await ann.field(ids[4], "description").blur();
  await ann.saved();

  const dark = await open({ colorScheme: "dark" });
  await shoot("wide-dark", dark);
  await dark.page.context().close();

  const phone = await open(PHONE);
  await shoot("phone-photos", phone);
  await phone.page.getByTestId("go-list").tap();
  await pictures(phone);
  await shoot("phone-list", phone);
  await phone.page.context().close();
  const phoneDark = await open({ ...PHONE, colorScheme: "dark" });
  await phoneDark.page.getByTestId("go-list").tap();
  await pictures(phoneDark);
  await shoot("phone-dark", phoneDark);
  await phoneDark.page.context().close();

  // Two people write the same description; one of them was offline.
  await ann.page.context().setOffline(true);
  await ann.write(ids[1], "description", "North face, the winter line");
  await other.write(ids[1], "description", "North wall, seen from the hut");
  await other.saved();
  await ann.says({ connection: "offline" });
  await ann.write(ids[2], "photoNumber", "103");
  await shoot("offline", ann, /Offline since/);
  await ann.page.context().setOffline(false);
  await ann.page.getByTestId("superseded").waitFor();
  await ann.saved();
  await pictures(ann);
  await shoot("conflict", ann);

  await ann.page.getByTestId("dismiss").click();
  await ann.page.getByTestId("menu").click();
  await ann.page.getByTestId("keys").waitFor();
  await shoot("keys", ann);
  await ann.page.getByTestId("menu-close").click();

  // Storage that refuses: what is true, and the way out.
  const full = await browser.newContext({ viewport: WIDE, colorScheme: "light", locale: "en-GB" });
  await full.addInitScript(() => {
    Storage.prototype.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    indexedDB.open = () => {
      throw new DOMException("denied", "SecurityError");
    };
  });
  const refused = await Labeler.open(full, daemon.url);
  await pictures(refused);
  await refused.row(ids[3]).waitFor();
  await full.setOffline(true);
  await refused.write(ids[3], "description", "Rooftops, and the weather coming in");
  await refused.page.getByTestId("volatile").waitFor();
  await shoot("storage-full", refused, "1 change only in this page");
  await full.close();

  const failing = await browser.newContext({ viewport: WIDE, colorScheme: "light", locale: "en-GB" });
  await failing.route("**/v1/photos", (route) => route.fulfill({ status: 503, body: "{}" }));
  const page = await failing.newPage();
  await page.goto(daemon.url);
  await page.getByTestId("catalogue-failed").waitFor();
  await shoot("error", { page });
} finally {
  await browser.close();
  await daemon.end();
}
