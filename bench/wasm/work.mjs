// work.mjs - the operations that the benchmarks under node apply.
export const START = 1_790_000_000_000;
export const BATCH = 100;
const encoder = new TextEncoder();

let state = 1n;
function random(below) {
  state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
  return Number((state >> 33n) % BigInt(below));
}

export const id = (n) => n.toString(16).padStart(24, "0");
export const instance = (n) => `i-${String(n).padStart(14, "0")}`;

function operation(seq, kind, item) {
  const data = { photoNumber: String(item % 1000), description: `no ${item}` };
  return {
    id: id(seq),
    type: ["ADD", "UPDATE_METADATA", "DELETE"][kind],
    instanceId: instance(item),
    ...(kind === 0 ? { imageId: `img-${String(item).padStart(8, "0")}`, data } : {}),
    ...(kind === 1 ? { data: { description: `text ${seq % 1000}` } } : {}),
    timestamp: START - 1_000_000 + seq,
    browserId: `chrome-abc${seq % 3}`,
    version: Math.ceil(seq / 3),
    seq,
  };
}

/** Arrays of BATCH operations: `items` adds, then `count` of the mix. */
export function operations(items, count) {
  const all = [];
  let low = 0;
  let high = items;
  for (let seq = 1; seq <= items + count; ) {
    const batch = [];
    for (let i = 0; i < BATCH; i++, seq++) {
      const dice = random(10);
      if (seq <= items) batch.push(operation(seq, 0, seq - 1));
      else if (dice < 3) batch.push(operation(seq, 0, high++));
      else if (dice < 9) batch.push(operation(seq, 1, low + random(high - low)));
      else batch.push(operation(seq, 2, low++));
    }
    all.push(batch);
  }
  return all;
}

/** The same as bytes of JSON. */
export function batches(items, count) {
  const all = operations(items, count).map((batch) => encoder.encode(JSON.stringify(batch)));
  return { first: all.slice(0, items / BATCH), mix: all.slice(items / BATCH) };
}
