// yjs-updates.mjs DIRECTORY COUNT - what Yjs makes of the edits of three writers: for each
// one file of updates, one an edit, u32 length before each. Writer n has the clientID n + 1.
import { writeFileSync } from "node:fs";
import * as Y from "yjs";

const [directory, count] = [process.argv[2], Number(process.argv[3])];
const FIRST = 34; // adds that every list begins with

let state = 1n;
function random(below) {
  state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
  return Number((state >> 33n) % BigInt(below));
}

for (let writer = 0; writer < 3; writer++) {
  const doc = new Y.Doc();
  doc.clientID = writer + 1;
  const items = doc.getMap("items");
  const updates = [];
  doc.on("update", (update) => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(update.length);
    updates.push(head, update);
  });
  const name = (n) => `i-${String(n * 3 + writer).padStart(14, "0")}`;
  let low = 0;
  let high = 0;
  for (let n = 0; n < count; n++) {
    const dice = n < FIRST ? 0 : random(10);
    if (dice < 3 || high - low < 2) {
      const item = new Y.Map();
      item.set("imageId", `img-${String(high).padStart(8, "0")}`);
      item.set("photoNumber", String(high % 1000));
      item.set("description", `no ${high}`);
      items.set(name(high++), item);
    } else if (dice < 9) {
      items.get(name(low + random(high - low))).set("description", `text ${n}`);
    } else {
      items.delete(name(low++));
    }
  }
  if (updates.length !== 2 * count) throw new Error("an edit is not one update");
  writeFileSync(`${directory}/yjs-updates.${writer}`, Buffer.concat(updates));
}
