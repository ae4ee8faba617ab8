// paint.mjs - paints a landscape as a photograph would show it: a sky with clouds, hills that
// fade with distance, water that mirrors them, light from one side, a little grain. All of it
// is numbers: the same scene gives the same pixels.

const clamp = (x, low = 0, high = 1) => (x < low ? low : x > high ? high : x);
const mix = (a, b, t) => a + (b - a) * t;
const smooth = (low, high, x) => {
  const t = clamp((x - low) / (high - low));
  return t * t * (3 - 2 * t);
};
const blend = (a, b, t) => [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)];
const scale = (a, t) => [a[0] * t, a[1] * t, a[2] * t];

/** "#rrggbb" as light, which adds up as light does. */
const light = (hex) => [1, 3, 5].map((at) => (parseInt(hex.slice(at, at + 2), 16) / 255) ** 2.2);

/** Smooth noise, 0 to 1, by a seed. */
function noises(seed) {
  const hash = (x, y) => {
    let h = (Math.imul(x, 374761393) + Math.imul(y, 668265263) + Math.imul(seed, 2246822519)) | 0;
    h = Math.imul(h ^ (h >>> 13), 1274126177);
    return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
  };
  const noise = (x, y) => {
    const [i, j] = [Math.floor(x), Math.floor(y)];
    const [u, v] = [x - i, y - j].map((t) => t * t * t * (t * (t * 6 - 15) + 10));
    return mix(mix(hash(i, j), hash(i + 1, j), u), mix(hash(i, j + 1), hash(i + 1, j + 1), u), v);
  };
  const cloud = (x, y, octaves = 5, rough = 0.5) => {
    let [sum, size, all] = [0, 1, 0];
    for (let i = 0; i < octaves; i++) {
      sum += size * noise(x, y);
      all += size;
      size *= rough;
      [x, y] = [x * 2.03 + 17.1, y * 2.03 - 9.7];
    }
    return sum / all;
  };
  return { hash, noise, cloud };
}

/** What a layer of land looks like close by: how light falls on it, from a height map. */
const surfaces = {
  rock: ({ cloud }, x, y) => cloud(x * 9, y * 16, 6, 0.62) * 1.5 - 0.75,
  snow: ({ cloud }, x, y) => cloud(x * 5, y * 11, 4, 0.45) * 0.8 - 0.4,
  wood: ({ cloud, noise }, x, y) => noise(x * 90, y * 70) * 0.7 + cloud(x * 14, y * 9, 3) - 0.85,
  sand: ({ cloud }, x, y) =>
    Math.sin((y * 95 + cloud(x * 4, y * 6, 3) * 22) * 1.0) * 0.16 + cloud(x * 3, y * 5, 4) - 0.5,
  grass: ({ cloud, noise }, x, y) =>
    noise(x * 120, y * 90) * 0.34 + cloud(x * 4, y * 14, 4) * 0.9 - 0.62,
};

/**
 * scene: { seed, sky: [top, bottom], sun: [x, y, colour, size, glow], clouds: [amount, light, shade],
 *          land: [{ at, high, rough, colour, surface, jag }], far (the colour of haze), haze,
 *          water: { at, colour, calm }, stars, dots: [colour, amount], lights, extra(x, y, colour) }
 * Coordinates: x 0..4/3 to the right, y 0..1 downwards.
 */
export function paint(scene, width, height) {
  const n = noises(scene.seed);
  const [top, bottom, far] = [scene.sky[0], scene.sky[1], scene.far ?? scene.sky[1]].map(light);
  const sun = scene.sun && {
    x: scene.sun[0],
    y: scene.sun[1],
    colour: light(scene.sun[2]),
    size: scene.sun[3],
    glow: scene.sun[4],
  };
  const [cloudy, bright, dark] = scene.clouds
    ? [scene.clouds[0], light(scene.clouds[1]), light(scene.clouds[2])]
    : [0];
  const land = (scene.land ?? []).map((layer) => ({ ...layer, colour: light(layer.colour) }));
  const water = scene.water && { ...scene.water, colour: light(scene.water.colour) };
  const flowers = scene.dots && scene.dots.map(([colour, amount]) => [light(colour), amount]);

  const lineOf = land.map((layer, i) => {
    const line = new Float64Array(width);
    for (let px = 0; px < width; px++) {
      const x = ((px + 0.5) / width) * (4 / 3);
      const hills =
        n.cloud(x * (layer.wide ?? 2.2) + i * 31.7, i * 7.3, 6, layer.rough ?? 0.5) - 0.5;
      const jag = layer.jag
        ? layer.jag * (n.noise(x * 130 + i * 50, 3) * 0.7 + n.noise(x * 60, 9))
        : 0;
      line[px] = layer.at - hills * layer.high - jag + (layer.tilt ?? 0) * (x - 0.66);
    }
    return line;
  });

  const sky = (x, y, sharp = true) => {
    let colour = blend(top, bottom, smooth(0, scene.horizon ?? 0.7, y) ** 0.8);
    if (scene.stars && sharp) {
      const [sx, sy] = [Math.floor(x * 300), Math.floor(y * 300)];
      if (n.hash(sx, sy) > 1 - 0.004 * scene.stars)
        colour = blend(colour, [1, 1, 0.95], n.hash(sy, sx) * smooth(0.75, 0.2, y));
    }
    if (scene.milky) {
      const band =
        Math.exp(-(((x - 0.5 - (y - 0.3) * 0.9) / 0.17) ** 2)) * n.cloud(x * 5, y * 5, 6, 0.6) ** 2;
      colour = blend(colour, light(scene.milky), clamp(band * 1.3));
    }
    if (sun) {
      const far = Math.hypot(x - sun.x, y - sun.y);
      const strong = sun.size > 0 ? 1 : 0.22; // out of sight it only warms one side
      const glow =
        strong * (Math.exp(-far / (sun.glow * 0.5)) * 0.75 + Math.exp(-far / sun.glow) * 0.4);
      colour = colour.map((c, i) => c + sun.colour[i] * glow);
      if (sun.size > 0 && (sharp || sun.size > 0.03))
        colour = blend(
          colour,
          scale(sun.colour, 1.6),
          smooth(sun.size * 1.12, sun.size * 0.92, far),
        );
    }
    if (cloudy > 0) {
      const depth = 1 / (0.25 + (scene.horizon ?? 0.7) + 0.12 - Math.min(y, 0.7));
      const [cx, cy] = [x * 1.7 * (0.6 + depth * 0.5), y * 4.2 * (0.6 + depth * 0.4)];
      const body = n.cloud(cx, cy, 6, 0.52);
      const cover = smooth(1 - cloudy, 1 - cloudy + 0.28, body + 0.12);
      const lit = clamp(
        0.5 + (body - n.cloud(cx + (sun ? (sun.x - x) * 0.18 : 0.1), cy - 0.16, 5, 0.52)) * 4.5,
      );
      colour = blend(colour, blend(dark, bright, lit), cover * 0.92);
    }
    return colour;
  };

  const ground = (px, x, y, from = land.length - 1) => {
    for (let i = from; i >= 0; i--) {
      if (y < lineOf[i][px]) continue;
      const layer = land[i];
      const [dx, dy] = [x + i * 3.1, (y - lineOf[i][px]) * 0.6 + y * 0.5];
      const surface = surfaces[layer.surface ?? "rock"];
      const size = layer.size ?? 1;
      const slope =
        surface(n, dx / size, dy / size) -
        surface(n, (dx + (sun?.x > 0.66 ? 0.006 : -0.006)) / size, (dy - 0.004) / size);
      const shade = clamp(
        0.82 + slope * (layer.relief ?? 2.4) + surface(n, dx / size, dy / size) * 0.32,
        0.25,
        1.9,
      );
      let colour = scale(layer.colour, shade);
      if (layer.snow) {
        const cap = smooth(
          layer.snow - 0.08,
          layer.snow + 0.04,
          n.cloud(dx * 8, dy * 8, 5, 0.6) + (layer.at - y) * 1.6 + slope * 2,
        );
        colour = blend(colour, scale([0.9, 0.94, 1], 0.55 + shade * 0.45), cap);
      }
      if (sun && layer.rim)
        colour = colour.map(
          (c, k) => c + sun.colour[k] * layer.rim * Math.exp(-(y - lineOf[i][px]) * 60),
        );
      if (flowers && i === land.length - 1) {
        const deep = clamp((y - layer.at) / (1 - layer.at), 0.03, 1);
        for (const [k, [dot, amount]] of flowers.entries()) {
          const grid = 26 / (0.18 + deep);
          const [gx, gy] = [Math.floor(x * grid), Math.floor(y * grid * 2.4)];
          if (n.hash(gx + k * 91, gy) > amount) continue;
          const [ox, oy] = [x * grid - gx - 0.2 - n.hash(gy, gx) * 0.6, y * grid * 2.4 - gy - 0.5];
          const round = Math.hypot(ox, oy * 0.62);
          colour = blend(
            colour,
            scale(dot, 0.75 + 0.5 * n.hash(gx, gy + 5)),
            smooth(0.34, 0.2, round),
          );
        }
      }
      const away =
        (scene.haze ?? 0.5) * (1 - i / Math.max(1, land.length - 1)) ** 1.2 +
        (layer.mist ?? 0) * smooth(lineOf[i][px], lineOf[i][px] + 0.16, y);
      return blend(colour, far, clamp(away));
    }
    return undefined;
  };

  const pixel = (px, x, y) => {
    const shore = water && land.slice(water.behind ?? land.length);
    if (water && y > water.at) {
      for (let i = land.length - 1; i >= land.length - (shore?.length ?? 0); i--)
        if (y >= lineOf[i][px]) return ground(px, x, y, i);
      const deep = (y - water.at) / (1 - water.at);
      const fine = 1 / (0.04 + deep * 0.9);
      const wave =
        (n.cloud(x * 5 * fine * 0.35, y * 60 * fine * 0.22 + 3, 4, 0.6) - 0.5) *
        (1 - (water.calm ?? 0.5));
      const mirror = clamp(2 * water.at - y + wave * 0.22 * (0.3 + deep), 0, water.at - 0.001);
      const mx = clamp(x + wave * 0.05, 0, 1.333);
      const mpx = clamp(Math.round((mx / (4 / 3)) * width), 0, width - 1);
      const seen =
        ground(mpx, mx, mirror, (water.behind ?? land.length) - 1) ?? sky(mx, mirror, false);
      let colour = blend(
        scale(seen, 0.86),
        water.colour,
        clamp(0.22 + deep * (water.deep ?? 0.5) - wave * 0.3),
      );
      if (sun && sun.y < water.at) {
        const path = Math.exp(-(((x - sun.x) / (0.03 + deep * 0.1)) ** 2));
        colour = colour.map(
          (c, i) => c + sun.colour[i] * path * clamp(wave * 2.6 + 0.12) * (water.glitter ?? 1.2),
        );
      }
      return colour;
    }
    return ground(px, x, y) ?? sky(x, y);
  };

  const out = new Uint8ClampedArray(width * height * 4);
  for (let py = 0; py < height; py++) {
    for (let px = 0; px < width; px++) {
      let colour = [0, 0, 0];
      for (const [ox, oy] of [
        [0.25, 0.3],
        [0.75, 0.7],
      ]) {
        const [x, y] = [((px + ox) / width) * (4 / 3), (py + oy) / height];
        let one = pixel(px, x, y);
        if (scene.extra)
          one = scene.extra(x, y, one, { n, light, blend, smooth, scale, sky }) ?? one;
        colour = colour.map((c, i) => c + one[i] / 2);
      }
      const [x, y] = [px / width - 0.5, py / height - 0.5];
      const edge = 1 - (x * x + y * y) * 0.55; // a lens is darker at its corners
      const grain = (n.hash(px, py) - 0.5) * 0.018;
      for (let i = 0; i < 3; i++) {
        const c = colour[i] * edge * (scene.exposure ?? 1);
        const film = (c * (2.51 * c + 0.03)) / (c * (2.43 * c + 0.59) + 0.14); // ACES, fitted
        out[(py * width + px) * 4 + i] = (clamp(mix(c, film, 0.6)) ** (1 / 2.2) + grain) * 255;
      }
      out[(py * width + px) * 4 + 3] = 255;
    }
  }
  return out;
}
