/** chosen.ts - how often each photo is on the list: a tile hears of its own number alone. */
import type { Readable } from "tidemark";
import type { Photos } from "./begin.js";

export type Chosen = { of(imageId: string): Readable<number> };

export function countChosen(list: Photos): Chosen {
  let counted: readonly string[] | undefined;
  let counts = new Map<string, number>();
  const look = (): Map<string, number> => {
    const ids = list.ids.snapshot(); // the same array while only fields change
    if (ids === counted) return counts;
    counted = ids;
    counts = new Map();
    for (const { imageId } of list.items.snapshot())
      counts.set(imageId, (counts.get(imageId) ?? 0) + 1);
    return counts;
  };
  const known = new Map<string, Readable<number>>();
  return {
    of(imageId) {
      let one = known.get(imageId);
      if (!one) {
        one = { snapshot: () => look().get(imageId) ?? 0, subscribe: list.ids.subscribe };
        known.set(imageId, one);
      }
      return one;
    },
  };
}
