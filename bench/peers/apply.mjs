// apply.mjs DIRECTORY - how fast Yjs and Automerge take in edits that others made, one at a
// time as they come from a network: the same mix over some 1,000 items. Results as
// bench/kit/kit.h has them; DIRECTORY has the files of yjs-updates.mjs.
import { readFileSync } from "node:fs";
import { next as Automerge } from "@automerge/automerge";
import * as Y from "yjs";

const result = (name, value, unit) =>
  console.log(JSON.stringify({ name, value: Number(value.toPrecision(6)), unit }));
const since = (began) => Number(process.hrtime.bigint() - began) * 1e-9;

function* updates(writer) {
  const bytes = readFileSync(`${process.argv[2]}/yjs-updates.${writer}`);
  for (let at = 0; at < bytes.length; ) {
    const len = bytes.readUInt32LE(at);
    yield bytes.subarray(at + 4, at + 4 + len);
    at += 4 + len;
  }
}

const all = [0, 1, 2].map((writer) => [...updates(writer)]);
const mixed = all[0].flatMap((_, n) => all.map((one) => one[n]));
let best = Number.POSITIVE_INFINITY;
for (let round = 0; round < 3; round++) {
  const doc = new Y.Doc();
  const began = process.hrtime.bigint();
  for (const update of mixed) Y.applyUpdate(doc, update);
  best = Math.min(best, since(began));
}
result("apply.yjs", mixed.length / best, "1/s");

const ITEMS = 1_000;
const EDITS = 3_000;
let source = Automerge.from({ items: {} });
source = Automerge.change(source, (doc) => {
  for (let n = 0; n < ITEMS; n++) {
    doc.items[`i-${n}`] = { imageId: `img-${n}`, photoNumber: `${n}`, description: `no ${n}` };
  }
});
const start = Automerge.save(source);
const changes = [];
let low = 0;
let high = ITEMS;
for (let n = 0; n < EDITS; n++) {
  const dice = (n * 7919) % 10;
  source = Automerge.change(source, (doc) => {
    if (dice < 3) {
      doc.items[`i-${high}`] = { imageId: `img-${high}`, photoNumber: "1", description: "no" };
      high++;
    } else if (dice < 9) {
      doc.items[`i-${low + ((n * 104729) % (high - low))}`].description = `text ${n}`;
    } else {
      delete doc.items[`i-${low++}`];
    }
  });
  changes.push(Automerge.getLastLocalChange(source));
}
let copy = Automerge.load(start);
const began = process.hrtime.bigint();
for (const change of changes) [copy] = Automerge.applyChanges(copy, [change]);
result("apply.automerge", EDITS / since(began), "1/s");
