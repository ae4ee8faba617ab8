// draw-photos.mjs - draws the photos that the labeler shows where no directory is given:
// small landscapes, made of numbers. `npm run photos -w labeler` writes public/photos anew;
// the same seed gives the same bytes.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";

const W = 480,
  H = 360;
const out = new URL("../public/photos/", import.meta.url);

/** A generator of numbers from 0 to 1, by a seed (mulberry32). */
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const round = (x) => Math.round(x * 10) / 10;
const path = (fill, points) =>
  `<path fill="${fill}" d="M0 ${H}${points.map(([x, y]) => `L${round(x)} ${round(y)}`).join("")}L${W} ${H}z"/>`;

/** A line of hills: a few waves of random length and height. */
function ridge(random, fill, base, height, rough = 1) {
  const waves = [1, 2.3, 5.1, 11].map((f) => [
    f * (0.7 + random() * 0.6),
    random() * 7,
    height / f ** (1 / rough),
  ]);
  const points = [];
  for (let x = 0; x <= W; x += 8) {
    points.push([
      x,
      base - waves.reduce((y, [f, at, h]) => y + Math.sin((x / W) * f * 6 + at) * h, 0) / 2,
    ]);
  }
  return path(fill, points);
}

const sky = (top, bottom) =>
  `<defs><linearGradient id="s" x1="0" y1="0" x2="0" y2="1"><stop stop-color="${top}"/><stop offset="1" stop-color="${bottom}"/></linearGradient></defs><rect width="${W}" height="${H}" fill="url(#s)"/>`;
const disc = (x, y, r, fill, opacity = 1) =>
  `<circle cx="${x}" cy="${y}" r="${r}" fill="${fill}" opacity="${opacity}"/>`;
const box = (x, y, w, h, fill) =>
  `<rect x="${round(x)}" y="${round(y)}" width="${round(w)}" height="${round(h)}" fill="${fill}"/>`;

function water(random, top, fill, glint) {
  let drawn = box(0, top, W, H - top, fill);
  for (let i = 0; i < 40; i++) {
    const y = top + 4 + random() ** 2 * (H - top);
    drawn += `<rect x="${round(random() * W)}" y="${round(y)}" width="${round(8 + (y - top) * 0.5)}" height="1.5" rx="1" fill="${glint}" opacity="${round(0.2 + random() * 0.4)}"/>`;
  }
  return drawn;
}
function trees(random, fill, base, count, size) {
  let drawn = "";
  for (let i = 0; i < count; i++) {
    const [x, h] = [random() * W, size * (0.6 + random() * 0.8)];
    const y = base + random() * 26;
    drawn += `<path fill="${fill}" d="M${round(x)} ${round(y - h)}l${round(h * 0.28)} ${round(h)}h${round(-h * 0.56)}z"/>`;
  }
  return drawn;
}
function houses(random, base, count, walls, roofs, lit) {
  let drawn = "";
  for (let i = 0; i < count; i++) {
    const w = 34 + random() * 26,
      h = 30 + random() * 60,
      x = (i + random() * 0.5) * (W / count) - 10;
    const pick = (of) => of[Math.floor(random() * of.length)];
    drawn += box(x, base - h, w, h, pick(walls));
    drawn += `<path fill="${pick(roofs)}" d="M${round(x - 3)} ${round(base - h)}l${round(w / 2 + 3)} -16 ${round(w / 2 + 3)} 16z"/>`;
    for (let y = base - h + 8; y < base - 12; y += 17) {
      for (let at = x + 6; at < x + w - 8; at += 13)
        if (random() < 0.7) drawn += box(at, y, 6, 8, lit);
    }
  }
  return drawn;
}
function stars(random, count) {
  let drawn = "";
  for (let i = 0; i < count; i++)
    drawn += disc(
      round(random() * W),
      round(random() * H * 0.6),
      round(0.4 + random()),
      "#fff",
      round(0.3 + random() * 0.7),
    );
  return drawn;
}
function clouds(random, count, fill) {
  let drawn = "";
  for (let i = 0; i < count; i++) {
    const [x, y] = [random() * W, 30 + random() * 90];
    for (let j = 0; j < 4; j++)
      drawn += disc(
        round(x + j * 18),
        round(y - random() * 8),
        round(10 + random() * 10),
        fill,
        0.75,
      );
  }
  return drawn;
}
const boat = (x, y, hull, sail) =>
  `<path fill="${sail}" d="M${x} ${y}v-62l34 52z"/><path fill="${hull}" d="M${x - 26} ${y + 4}h66l-12 16h-42z"/>`;

const photos = {
  "Harbour at dusk": (r) =>
    sky("#33405f", "#f0a06a") +
    disc(330, 205, 26, "#ffd9a0") +
    houses(r, 232, 9, ["#3a3346", "#4a3d4e", "#2f3144"], ["#241f2e", "#30263a"], "#ffce7d") +
    water(r, 232, "#3d4a63", "#f5b98a") +
    boat(130, 282, "#20222e", "#e8dcc8"),
  "First snow": (r) =>
    sky("#a9c2d8", "#eaf0f5") +
    ridge(r, "#8fa7bd", 190, 60, 1.4) +
    ridge(r, "#c9d6e2", 240, 50) +
    trees(r, "#3f5a58", 250, 22, 60) +
    ridge(r, "#f7fafc", 305, 26),
  "The mill pond": (r) =>
    sky("#8fc4dd", "#e9f4e4") +
    clouds(r, 3, "#fff") +
    ridge(r, "#7fa86a", 215, 46) +
    trees(r, "#4f7d4c", 214, 16, 54) +
    houses(r, 240, 2, ["#d9c7a3"], ["#9a4a36"], "#5c6f7a") +
    water(r, 242, "#6fa3ad", "#dff0ea"),
  "Dunes, noon": (r) =>
    sky("#5fa9dd", "#d9ecf7") +
    disc(90, 70, 28, "#fff6d8") +
    ridge(r, "#e7c68c", 220, 50) +
    ridge(r, "#d9b171", 265, 60) +
    ridge(r, "#c99a58", 320, 40),
  "Night train": (r) => {
    let train = box(0, 250, W, 34, "#a23b3b") + box(0, 245, W, 6, "#d6d2c8");
    for (let x = 14; x < W; x += 46) train += box(x, 256, 32, 14, "#ffe2a0");
    return (
      sky("#0f1730", "#2b3458") +
      stars(r, 70) +
      disc(390, 74, 22, "#f2eed8") +
      ridge(r, "#1a2238", 220, 60) +
      train +
      box(0, 284, W, 6, "#3b3f4c") +
      path("#10151f", [
        [0, 290],
        [W, 290],
      ])
    );
  },
  "North wall": (r) =>
    sky("#7da6c9", "#dfe9ef") +
    ridge(r, "#6b7c8c", 130, 120, 2.2) +
    ridge(r, "#556372", 200, 90, 1.8) +
    trees(r, "#2f4a41", 280, 26, 50) +
    ridge(r, "#3c5a49", 330, 30),
  Poppies: (r) => {
    let field = "";
    for (let i = 0; i < 130; i++) {
      const y = 220 + r() ** 1.4 * 140;
      field += disc(
        round(r() * W),
        round(y),
        round(1.5 + (y - 210) / 22),
        r() < 0.85 ? "#d6402b" : "#f2e6d0",
        0.9,
      );
    }
    return (
      sky("#9fd0ee", "#f3f6e6") +
      clouds(r, 4, "#fff") +
      ridge(r, "#86a86c", 215, 34) +
      box(0, 216, W, 144, "#7fa04f") +
      field
    );
  },
  Lighthouse: (r) =>
    sky("#c96f52", "#f7d39b") +
    disc(120, 190, 30, "#fff0c4") +
    water(r, 230, "#7a6d80", "#ffd9a8") +
    ridge(r, "#3b3540", 300, 60) +
    `<path fill="#efe8dc" d="M352 250l8-130h24l8 130z"/>` +
    box(358, 150, 28, 22, "#b33a33") +
    box(355, 200, 34, 22, "#b33a33") +
    box(362, 104, 20, 18, "#ffe9a8") +
    `<path fill="#3b3540" d="M358 104l14-14 14 14z"/>`,
  "Old town": (r) =>
    sky("#8db7d6", "#f2e7d2") +
    houses(
      r,
      250,
      10,
      ["#d9b48a", "#c98f6b", "#e2cfae", "#b8a083"],
      ["#8f3f2e", "#a65a3c"],
      "#54626d",
    ) +
    houses(r, 330, 7, ["#e8c79a", "#cf9a78", "#d8c3a0"], ["#7c352a", "#99503a"], "#4a5863") +
    box(0, 330, W, 30, "#8c8377"),
  "Sailing home": (r) =>
    sky("#6fb4d8", "#e4f2f6") +
    clouds(r, 5, "#fff") +
    ridge(r, "#7f9d94", 205, 24) +
    water(r, 205, "#3f87a6", "#d2eef5") +
    boat(170, 280, "#7c3a2a", "#f7f2e6") +
    boat(350, 236, "#2c4152", "#efe2c8"),
};

mkdirSync(out, { recursive: true });
for (const name of readdirSync(out)) rmSync(new URL(name, out));
const index = Object.entries(photos).map(([name, draw], i) => {
  const slug = name.toLowerCase().replace(/[^a-z]+/g, "-");
  const file = `${slug}.svg`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${W} ${H}" width="${W}" height="${H}">${draw(numbers(i + 1))}</svg>\n`;
  writeFileSync(new URL(file, out), svg);
  return { imageId: `drawn-${slug}`, name, file };
});
writeFileSync(new URL("photos.json", out), `${JSON.stringify({ photos: index }, null, 2)}\n`);
console.log(`${index.length} photos drawn`);
