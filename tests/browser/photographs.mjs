// Directories of photographs for the tests: JPEG, PNG, WebP and GIF of many sizes, under
// names of any length and script, made by the browser that will show them.
import { linkSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import gifenc from "gifenc";

const { GIFEncoder, quantize, applyPalette } = gifenc;

/** In the browser: a picture with a sky, a ground and its number, packed. */
const draw = async ([number, type, width, height]) => {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const hue = (number * 47) % 360;
  const sky = context.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, `hsl(${hue} 55% 45%)`);
  sky.addColorStop(0.6, `hsl(${hue + 30} 60% 80%)`);
  sky.addColorStop(0.6, `hsl(${hue + 120} 35% 35%)`);
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  context.fillStyle = "#fff";
  context.font = `${height / 3}px sans-serif`;
  context.fillText(String(number), width / 10, height * 0.9);
  if (type === "raw") return [...context.getImageData(0, 0, width, height).data];
  const blob = await canvas.convertToBlob({ type, quality: 0.85 });
  return [...new Uint8Array(await blob.arrayBuffer())];
};

function gif(rgba, width, height) {
  const [encoder, colours] = [GIFEncoder(), quantize(rgba, 64)];
  encoder.writeFrame(applyPalette(rgba, colours), width, height, { palette: colours });
  encoder.finish();
  return Buffer.from(encoder.bytes());
}

const kinds = [
  ["jpg", "image/jpeg", 800, 600],
  ["png", "image/png", 320, 480],
  ["webp", "image/webp", 1024, 400],
  ["gif", "raw", 160, 120],
];

export const names = [
  "plain.jpg",
  "trip/day one/café, déjà vu.png",
  "写真/東京タワー、夜.webp",
  "عنوان الصورة.gif",
  "Ελλάδα и Россия 🏔️ ไทย.jpg",
  `${"a very long name indeed ".repeat(10)}.png`,
  "<img src=x onerror=alert(1)>.webp",
  "100% #1 & 'more' ?.gif",
];

/** Writes a file of each kind under each of `names`, and two that are no pictures behind
 * their first bytes. Returns how many the server lists. */
export async function everyName(page, directory) {
  for (const [i, name] of names.entries()) await write(page, directory, name, i);
  writeFileSync(join(directory, "torn.jpg"), Buffer.from("ffd8ffe000104a464946000101", "hex"));
  writeFileSync(join(directory, "zz nonsense.png"), Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), Buffer.alloc(4000, 7)]));
  return names.length + 2;
}

async function write(page, directory, name, number) {
  const [, type, width, height] = kinds[number % kinds.length];
  const bytes = Buffer.from(await page.evaluate(draw, [number, type, width, height]));
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, type === "raw" ? gif(new Uint8ClampedArray(bytes), width, height) : bytes);
  return path;
}

/** `count` files; every twelfth is the same picture under another name. */
export async function thousands(page, directory, count) {
  const first = [];
  for (let i = 0; i < 12; i++) first.push(await write(page, directory, `originals/${i}.${kinds[i % 4][0]}`, i));
  for (let i = first.length; i < count; i++) {
    const path = join(directory, `roll ${String(Math.floor(i / 500)).padStart(2, "0")}`, `photo ${String(i).padStart(5, "0")}.${kinds[i % 4][0]}`);
    mkdirSync(dirname(path), { recursive: true });
    linkSync(first[i % 12], path);
  }
}

/** Puts `count` photos of the catalogue on the list, as another browser would. */
export async function fill(daemon, count) {
  const { photos } = await (await fetch(new URL("/v1/photos", daemon.url))).json();
  const ids = [];
  for (let from = 0; from < count; from += 100) {
    const operations = [];
    for (let i = from; i < Math.min(count, from + 100); i++) {
      const instanceId = `filled-${i}`;
      ids.push(instanceId);
      operations.push({
        id: `fill-${i}`,
        type: "ADD",
        instanceId,
        imageId: photos.length > 0 ? photos[i % photos.length].imageId : "drawn-poppies",
        data: { photoNumber: String(i + 1), description: `Photo ${i + 1} of the roll` },
        timestamp: 1_700_000_000_000 + i,
        logical: 0,
        browserId: "filler",
        version: i + 1,
      });
    }
    const answer = await fetch(new URL("/v1/lists/selected-images/operations", daemon.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user: daemon.user, operations }),
    });
    const { acks } = await answer.json();
    if (!answer.ok || !acks.every(({ status }) => status === "ok")) throw new Error(`filling failed: ${answer.status}`);
  }
  return ids;
}
