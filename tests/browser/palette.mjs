// A screenshot as a PNG of 256 colours: a quarter of the bytes, and nobody sees it. The
// rounding is spread over neighbours by an ordered pattern, so a sky stays smooth.
import { deflateSync } from "node:zlib";
import gifenc from "gifenc";

const { quantize, nearestColorIndex } = gifenc;
/** An 8 x 8 ordered pattern, 0 to 63. */
const bayer = (x, y) => {
  let value = 0;
  for (let bit = 0; bit < 3; bit++) {
    const [a, b] = [(x >> bit) & 1, (y >> bit) & 1];
    value = (value << 2) | ((a ^ b) << 1) | b;
  }
  return value;
};
const SPREAD = 9;

/** `rgba` with `width` columns, as a PNG file. */
export function palettePng(rgba, width, height) {
  const colours = quantize(rgba, 256);
  const known = new Map();
  const rows = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4;
      const flat =
        x > 0 && y > 0 && rgba[at] === rgba[at - 4] && rgba[at + 1] === rgba[at - 3] && rgba[at + 2] === rgba[at - 2];
      const shift = flat ? 0 : ((bayer(x, y) + 0.5) / 64 - 0.5) * SPREAD; // a plain surface stays plain
      const [r, g, b] = [0, 1, 2].map((i) => Math.min(255, Math.max(0, Math.round(rgba[at + i] + shift))));
      const key = (r << 16) | (g << 8) | b;
      let index = known.get(key);
      if (index === undefined) known.set(key, (index = nearestColorIndex(colours, [r, g, b])));
      rows[y * (width + 1) + 1 + x] = index;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const palette = Buffer.from(colours.flatMap(([r, g, b]) => [r, g, b]));
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", head),
    chunk("PLTE", palette),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type, data) {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  data.copy(out, 8);
  out.writeUInt32BE(crc(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

const table = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) value = table[(value ^ byte) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}
