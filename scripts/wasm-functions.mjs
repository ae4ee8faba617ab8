// wasm-functions.mjs FILE [COUNT] - the largest functions of a module that has names,
// each with the bytes of its body.
import { readFileSync } from "node:fs";

const [file, count = "40"] = process.argv.slice(2);
const bytes = readFileSync(file);
let at = 8; // behind magic and version

function number() {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return value;
  }
}
function text() {
  const length = number();
  return bytes.toString("utf8", at, (at += length));
}

const sizes = [];
const names = new Map();
while (at < bytes.length) {
  const kind = bytes[at++];
  const end = number() + at;
  if (kind === 10) {
    for (let left = number(); left > 0; left--) {
      const size = number();
      sizes.push(size);
      at += size;
    }
  } else if (kind === 0 && text() === "name") {
    while (at < end) {
      const part = bytes[at++];
      const partEnd = number() + at;
      if (part === 1) for (let left = number(); left > 0; left--) names.set(number(), text());
      at = partEnd;
    }
  }
  at = end;
}
sizes
  .map((size, index) => ({ size, name: names.get(index) ?? `function ${index}` }))
  .sort((a, b) => b.size - a.size)
  .slice(0, Number(count))
  .forEach(({ size, name }) => console.log(`${String(size).padStart(6)} ${name}`));
