// draw-photos.mjs - paints the sample photographs that the labeler shows where no directory
// is given. `npm run photos -w labeler` writes public/photos anew; Chromium packs them as WebP.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { launch } from "../../tests/browser/browser.mjs";
import { paint } from "./paint.mjs";
import { scenes } from "./scenes.mjs";

const [WIDTH, HEIGHT, QUALITY] = [448, 336, 0.74];
const out = new URL("../public/photos/", import.meta.url);

/** In the browser: pixels to a picture's bytes. */
const pack = async ([pixels, width, height, quality]) => {
  const bytes = Uint8ClampedArray.from(atob(pixels), (c) => c.charCodeAt(0));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(bytes, width, height), 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality });
  return [...new Uint8Array(await blob.arrayBuffer())];
};

mkdirSync(out, { recursive: true });
for (const name of readdirSync(out)) rmSync(new URL(name, out));
const browser = await launch();
const page = await browser.newPage();
const photos = [];
let total = 0;
for (const [name, scene] of Object.entries(scenes)) {
  const slug = name.toLowerCase().replace(/[^a-z]+/g, "-");
  const file = `${slug}.webp`;
  const pixels = Buffer.from(paint(scene, WIDTH, HEIGHT)).toString("base64");
  const bytes = Buffer.from(await page.evaluate(pack, [pixels, WIDTH, HEIGHT, QUALITY]));
  writeFileSync(new URL(file, out), bytes);
  total += bytes.length;
  photos.push({ imageId: `drawn-${slug}`, name, file });
}
await browser.close();
writeFileSync(new URL("photos.json", out), `${JSON.stringify({ photos }, null, 2)}\n`);
console.log(`${photos.length} photographs, ${total} bytes`);
