// scenes.mjs - the sample photographs, as paint.mjs wants them told.

/** Lit windows and walls along a shore or a street. */
function town({ base, high, walls, roof, lit, wide = 22, seed = 1, glow = 1 }) {
  return (x, y, colour, { n, light, blend, smooth, scale }) => {
    const column = Math.floor(x * wide + n.noise(Math.floor(x * wide * 2), seed) * 0.2);
    const tall = high * (0.45 + n.hash(column, seed) * 0.75);
    const crest = base - tall;
    if (y > base || y < crest - 0.05) return colour;
    const within = x * wide - column;
    const gable =
      crest - 0.045 * (1 - Math.abs(within - 0.5) * 2) * (n.hash(column, seed + 3) > 0.3 ? 1 : 0.3);
    if (y < gable) return colour;
    const side = 0.78 + 0.3 * n.hash(column, seed + 9) - 0.12 * smooth(0.6, 1, within);
    if (y < crest) return scale(light(roof), side * (0.8 + n.noise(x * 200, y * 300) * 0.4));
    const wall = light(walls[Math.floor(n.hash(column, seed + 5) * walls.length)]);
    let seen = scale(wall, side * (0.88 + n.cloud(x * 60, y * 60, 3) * 0.24));
    const [row, rest] = [Math.floor((y - crest) * 24), ((y - crest) * 24) % 1];
    const pane = Math.floor(within * 3);
    const at = (within * 3) % 1;
    if (rest > 0.3 && rest < 0.78 && at > 0.28 && at < 0.72) {
      const on = n.hash(column * 7 + pane, row + seed) > 0.45;
      seen = on ? scale(light(lit), glow) : scale(seen, 0.42);
    }
    return blend(colour, seen, 1);
  };
}

const sail =
  (at, size, cloth, hull) =>
  (x, y, colour, { light, blend, scale, smooth }) => {
    const [dx, dy] = [(x - at[0]) / size, (y - at[1]) / size];
    if (dy > -1 && dy < 0 && dx > 0.03 && dx < 0.52 * (1 + dy) + 0.03)
      return scale(light(cloth), 0.82 + dx * 0.5);
    if (dy > -0.86 && dy < -0.04 && dx < 0 && dx > -0.34 * (0.98 + dy * 1.1))
      return scale(light(cloth), 0.72);
    if (Math.abs(dx) < 0.012 && dy > -1.05 && dy < 0.03) return light("#3a2c22");
    if (dy >= 0.02 && dy < 0.15 && dx > -0.42 + dy * 1.1 && dx < 0.55 - dy * 0.9)
      return light(hull);
    if (dy >= 0.15 && dy < 0.75 && Math.abs(dx) < 0.4)
      return blend(colour, light(hull), 0.35 * smooth(0.75, 0.15, dy));
    return colour;
  };
const all =
  (...parts) =>
  (x, y, colour, tools) =>
    parts.reduce((seen, part) => part(x, y, seen, tools), colour);

export const scenes = {
  "Harbour at dusk": {
    seed: 11,
    sky: ["#27375f", "#f3a06b"],
    horizon: 0.6,
    sun: [0.98, 0.55, "#ffb36b", 0.035, 0.2],
    clouds: [0.46, "#ffb48a", "#5c5277"],
    far: "#b98a86",
    haze: 0.62,
    land: [
      { at: 0.6, high: 0.24, colour: "#37405e", surface: "wood" },
      { at: 0.62, high: 0.1, colour: "#1f2a3d", surface: "wood", jag: 0.008 },
    ],
    water: { at: 0.64, colour: "#26344f", calm: 0.5, deep: 0.4 },
    extra: all(
      town({
        base: 0.64,
        high: 0.15,
        walls: ["#4a3f4f", "#5b4650", "#3c3c52", "#6a4c4a"],
        roof: "#2a2433",
        lit: "#ffcc7a",
        glow: 1.4,
      }),
      sail([0.36, 0.78], 0.22, "#d8c4b2", "#1d1c26"),
    ),
  },
  "First snow": {
    seed: 23,
    sky: ["#8fb1cf", "#e9eef3"],
    sun: [1.1, 0.2, "#fff3da", 0.0, 0.35],
    far: "#d3deea",
    haze: 0.72,
    clouds: [0.4, "#ffffff", "#b9c6d6"],
    land: [
      { at: 0.42, high: 0.62, rough: 0.56, colour: "#7288a3", surface: "rock", snow: 0.42 },
      { at: 0.6, high: 0.3, colour: "#4c6377", surface: "wood", jag: 0.03, snow: 0.62 },
      { at: 0.72, high: 0.2, colour: "#2f4548", surface: "wood", jag: 0.06, snow: 0.74 },
      { at: 0.83, high: 0.16, colour: "#dfe8f2", surface: "snow", wide: 1.2, relief: 5 },
    ],
  },
  "The mill pond": {
    seed: 37,
    sky: ["#78b2da", "#e8f1ea"],
    sun: [0.3, 0.18, "#fff0cf", 0, 0.4],
    clouds: [0.44, "#ffffff", "#aebfcd"],
    haze: 0.42,
    land: [
      { at: 0.5, high: 0.22, colour: "#6d9364", surface: "wood" },
      { at: 0.54, high: 0.2, colour: "#3f6b3f", surface: "wood", jag: 0.05 },
      { at: 0.6, high: 0.06, colour: "#7f9a4a", surface: "grass" },
      { at: 0.95, high: 0.14, colour: "#5d7a35", surface: "grass", jag: 0.05, tilt: -0.16 },
    ],
    water: { at: 0.62, colour: "#3d6a70", calm: 0.72, deep: 0.35, behind: 3, glitter: 0.4 },
    extra: town({
      base: 0.605,
      high: 0.13,
      walls: ["#cdb893"],
      roof: "#8b4a38",
      lit: "#5d6f78",
      wide: 5.2,
      seed: 61,
      glow: 0.6,
    }),
  },
  "Dunes, noon": {
    seed: 41,
    sky: ["#2f7fc4", "#cfe6f5"],
    horizon: 0.6,
    sun: [0.2, 0.12, "#fff6dd", 0.03, 0.25],
    haze: 0.42,
    far: "#e5d3b2",
    land: [
      { at: 0.54, high: 0.2, wide: 1.4, rough: 0.34, colour: "#dcb682", surface: "sand" },
      {
        at: 0.64,
        high: 0.34,
        wide: 1.1,
        rough: 0.3,
        colour: "#d3a262",
        surface: "sand",
        relief: 4,
      },
      {
        at: 0.8,
        high: 0.44,
        wide: 0.8,
        rough: 0.28,
        colour: "#c98f4c",
        surface: "sand",
        relief: 5,
        size: 1.5,
      },
    ],
  },
  "Milky way": {
    seed: 53,
    sky: ["#070c1c", "#25355a"],
    stars: 2.2,
    milky: "#b9b4d8",
    haze: 0.3,
    far: "#2b3a60",
    land: [
      { at: 0.74, high: 0.3, colour: "#141d33", surface: "rock" },
      { at: 0.86, high: 0.22, colour: "#070b14", surface: "wood", jag: 0.05 },
    ],
    exposure: 1.35,
  },
  "North wall": {
    seed: 67,
    sky: ["#4f87bd", "#d7e5ef"],
    sun: [1.2, 0.1, "#fff1d6", 0, 0.3],
    clouds: [0.34, "#ffffff", "#b4c3d2"],
    haze: 0.5,
    far: "#b9cbdc",
    land: [
      {
        at: 0.36,
        high: 0.86,
        rough: 0.6,
        wide: 2.8,
        colour: "#5f6f83",
        surface: "rock",
        snow: 0.5,
        relief: 4,
      },
      { at: 0.62, high: 0.42, colour: "#41515a", surface: "rock", rough: 0.56, relief: 4 },
      { at: 0.8, high: 0.2, colour: "#24402f", surface: "wood", jag: 0.07 },
      { at: 0.93, high: 0.12, colour: "#5b7a3c", surface: "grass" },
    ],
  },
  Poppies: {
    seed: 71,
    sky: ["#6aaee0", "#eef4ea"],
    horizon: 0.5,
    sun: [0.9, 0.16, "#fff4d8", 0, 0.35],
    clouds: [0.48, "#ffffff", "#b3c4d3"],
    haze: 0.55,
    land: [
      { at: 0.46, high: 0.14, colour: "#6f8f6a", surface: "wood" },
      { at: 0.5, high: 0.07, colour: "#41663c", surface: "wood", jag: 0.04 },
      { at: 0.54, high: 0.04, colour: "#6e8c35", surface: "grass" },
    ],
    dots: [
      ["#e02d1b", 0.5],
      ["#f6efe0", 0.06],
    ],
  },
  Lighthouse: {
    seed: 83,
    sky: ["#6b5f92", "#ffb98a"],
    horizon: 0.66,
    sun: [0.34, 0.6, "#ffc27a", 0.045, 0.26],
    clouds: [0.5, "#ffc6a0", "#76648c"],
    haze: 0.3,
    far: "#e2a08a",
    land: [
      { at: 0.665, high: 0.02, colour: "#7a6478" },
      { at: 0.78, high: 0.3, wide: 1.5, tilt: -0.5, colour: "#38303f", surface: "rock", rim: 0.05 },
    ],
    water: { at: 0.67, colour: "#4f4a6b", calm: 0.35, deep: 0.45, behind: 1 },
    extra: (x, y, colour, { light, scale, blend, smooth }) => {
      const [cx, base, tip] = [1.06, 0.63, 0.2];
      const half = 0.026 + (y - tip) * 0.03;
      const dx = (x - cx) / half;
      if (y > tip && y < base && Math.abs(dx) < 1) {
        const band = Math.floor((y - tip) * 11.6) % 2 === 0 ? "#e9dfd2" : "#a93a34";
        return scale(light(band), 0.42 + 0.5 * smooth(0.9, -0.8, dx));
      }
      if (y > tip - 0.055 && y <= tip && Math.abs(x - cx) < 0.02) return [2.2, 1.7, 0.9];
      if (y > tip - 0.09 && y <= tip - 0.055 && Math.abs(x - cx) < (y - tip + 0.09) * 0.75)
        return light("#2b2732");
      const glow = Math.exp(-Math.hypot(x - cx, y - tip + 0.03) / 0.05);
      return blend(colour, [1.6, 1.3, 0.8], glow * 0.6);
    },
  },
  "Old town": {
    seed: 97,
    sky: ["#5d9cd0", "#f4e8d4"],
    horizon: 0.5,
    sun: [0.1, 0.2, "#ffe9c2", 0, 0.4],
    clouds: [0.4, "#fff8ec", "#b8c2cc"],
    haze: 0.45,
    land: [
      { at: 0.4, high: 0.2, colour: "#7d9a86", surface: "wood" },
      { at: 0.97, high: 0.02, colour: "#8d8478", surface: "rock" },
    ],
    extra: all(
      town({
        base: 0.66,
        high: 0.26,
        walls: ["#d9b48a", "#c98f6b", "#e2cfae", "#b8a083", "#d8a48e"],
        roof: "#9c5a42",
        lit: "#3f4a55",
        wide: 11,
        seed: 3,
        glow: 0.7,
      }),
      town({
        base: 0.98,
        high: 0.44,
        walls: ["#e8c79a", "#cf9a78", "#d8c3a0", "#c7836a", "#e6d8bd"],
        roof: "#8a4230",
        lit: "#313b46",
        wide: 5.6,
        seed: 8,
        glow: 0.6,
      }),
    ),
  },
  "Sailing home": {
    seed: 103,
    sky: ["#3f90cc", "#dcecf4"],
    horizon: 0.5,
    sun: [1.05, 0.14, "#fff6e0", 0, 0.3],
    clouds: [0.44, "#ffffff", "#b3c7d6"],
    haze: 0.7,
    far: "#bcd5e4",
    land: [{ at: 0.49, high: 0.14, colour: "#5f8794", surface: "wood" }],
    water: { at: 0.5, colour: "#17588a", calm: 0.1, deep: 0.6, glitter: 0.9 },
    extra: all(
      sail([0.9, 0.56], 0.16, "#f3ecdd", "#33495c"),
      sail([0.42, 0.74], 0.4, "#fbf7ee", "#7a3526"),
    ),
  },
  "Mist in the valley": {
    seed: 113,
    sky: ["#9fb0c4", "#f6dcc0"],
    horizon: 0.5,
    sun: [0.5, 0.3, "#ffd9a6", 0.03, 0.3],
    haze: 0.86,
    far: "#eed7c4",
    land: [
      { at: 0.42, high: 0.24, colour: "#6e7d92", surface: "wood", mist: 0.5 },
      { at: 0.54, high: 0.26, colour: "#55677a", surface: "wood", jag: 0.02, mist: 0.6 },
      { at: 0.66, high: 0.24, colour: "#3c5060", surface: "wood", jag: 0.035, mist: 0.7 },
      { at: 0.82, high: 0.26, colour: "#22343f", surface: "wood", jag: 0.07, mist: 0.3 },
    ],
  },
  "Alpine lake": {
    seed: 131,
    sky: ["#3f86c9", "#dbeaf3"],
    sun: [0.15, 0.1, "#fff3da", 0, 0.3],
    clouds: [0.34, "#ffffff", "#aebfd0"],
    haze: 0.45,
    far: "#a9c3d8",
    land: [
      {
        at: 0.34,
        high: 0.7,
        rough: 0.58,
        colour: "#6d7f95",
        surface: "rock",
        snow: 0.5,
        relief: 4,
      },
      { at: 0.5, high: 0.2, colour: "#37584a", surface: "wood", jag: 0.03 },
      { at: 0.55, high: 0.08, colour: "#24452f", surface: "wood", jag: 0.05 },
    ],
    water: { at: 0.57, colour: "#1e7a86", calm: 0.8, deep: 0.55, glitter: 0.2 },
  },
};
