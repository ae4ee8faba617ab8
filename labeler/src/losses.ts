/**
 * losses.ts - what lost: own values that somebody else's replaced, items that were removed
 * under them, texts that found no place. Nothing is lost quietly: each is shown until it is
 * restored, as a new edit, or dismissed.
 */
import type { Id, Item, Readable } from "tidemark";
import type { Field, Photos } from "./begin.js";
import { readable } from "./readable.js";

export type Loss = {
  readonly key: number;
  readonly says: string;
  /** undefined: there is nothing that could be put back. */
  readonly restore: (() => void) | undefined;
};

const words: { readonly [field in Field]: string } = {
  photoNumber: "photo number",
  description: "description",
};
const quoted = (value: string | null | undefined): string => (value ? `“${value}”` : "nothing");

export type Losses = Readable<readonly Loss[]> & {
  dismiss(key: number): void;
  /** A text that was being typed when its item was removed. */
  unplaced(id: Id, field: Field, text: string): void;
};

export function watchLosses(list: Photos): Losses {
  const losses = readable<readonly Loss[]>([]);
  let last = 0;
  let now = list.items.snapshot();
  let before = now; // where an item that has just gone still is
  list.items.subscribe(() => {
    before = now;
    now = list.items.snapshot();
  });
  const lately = (id: Id): Item<Field> | undefined =>
    [...now, ...before].find((item) => item.id === id);
  const dismiss = (key: number): void =>
    losses.put(losses.snapshot().filter((loss) => loss.key !== key));
  const add = (says: string, restore: (() => void) | undefined): void => {
    const key = ++last;
    const done =
      restore &&
      (() => {
        restore();
        dismiss(key);
      });
    losses.put([...losses.snapshot(), { key, says, restore: done }]);
  };
  const again = (
    { imageId, photoNumber, description }: Item<Field>,
    change: Partial<Record<Field, string>> = {},
  ): void => {
    const data = {
      ...(photoNumber !== undefined && { photoNumber }),
      ...(description !== undefined && { description }),
      ...change,
    };
    list.add(imageId, data);
  };

  list.onSuperseded((superseded) => {
    if (superseded.kind === "sort") {
      return add(
        `The order was turned to ${superseded.winner} elsewhere.`,
        () => void list.setSort(superseded.mine),
      );
    }
    const item = lately(superseded.item);
    if (superseded.kind === "removed") {
      const text = item && (item.description || item.photoNumber);
      const what = text ? `A photo (${quoted(text)})` : "A photo";
      return add(`${what} you were editing was removed elsewhere.`, item && (() => again(item)));
    }
    const { field, mine, winner } = superseded;
    add(
      `Your ${words[field] ?? field} ${quoted(mine)} was replaced elsewhere by ${quoted(winner)}.`,
      () => {
        list.update(superseded.item, { [field]: mine });
      },
    );
  });
  return {
    snapshot: losses.snapshot,
    subscribe: losses.subscribe,
    dismiss,
    unplaced(id, field, text) {
      const item = lately(id);
      add(
        `The photo was removed while you typed its ${words[field]} ${quoted(text)}.`,
        item && (() => again(item, { [field]: text })),
      );
    },
  };
}
