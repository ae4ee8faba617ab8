/**
 * view.ts - what the list shows, as snapshots that keep their identity while nothing in
 * them changes: the engine is asked for what it said has changed, and only then.
 *
 * A change made inside a batch is seen at once by who reads, and told to the listeners when
 * the batch is whole. One that was taken back leaves the very objects that were there before.
 */
import { listeners, listenersById, type Readable } from "./readable.js";
import type { Direction, Id, Item } from "./types.js";

/** What is shown now, asked of the engine; undefined = it cannot be asked (any more). */
export interface Source {
  /** As JSON; "" = it is not shown. */
  item(id: Id): string | undefined;
  order(): Id[] | undefined;
  sort(): Direction;
}

type Entry<F extends string> = { readonly json: string; readonly item: Item<F> };

export type View<F extends string> = {
  readonly [part in "ids" | "items" | "sort"]: Readable<Parts<F>[part]>;
} & {
  item(id: Id): Readable<Item<F> | undefined>;
  /** Another engine tells from now on: everything may be different. */
  reset(): void;
  /** `id` may be different; "" = the order, or the sort direction. */
  changed(id: Id): void;
  /** From here on a change that is taken back gives what is there now. */
  mark(): void;
  /** Tells the listeners what has changed since they were told last. */
  tell(): void;
};

type Parts<F extends string> = {
  ids: readonly Id[];
  /** As they were when somebody asked last. */
  items: readonly Item<F>[];
  sort: Direction;
};

/** While nobody can be asked, what was shown last is shown. */
export function makeView<F extends string>(source: Source): View<F> {
  const entries = new Map<Id, Entry<F>>();
  let now: Parts<F> = { ids: Object.freeze([]), items: Object.freeze([]), sort: "asc" };
  /** What the listeners know, ... */
  let told = now;
  /** ... and the entries as they know them, of those that changed since. */
  const before = new Map<Id, Entry<F> | undefined>();
  const stale = new Set<Id>();
  let orderStale = false;
  let itemsStale = false;
  const ofItem = listenersById();

  /** Asks for one item; an entry that says the same as before is the same. */
  function read(id: Id): void {
    const old = entries.get(id);
    const json = source.item(id);
    if (json === undefined || json === (old?.json ?? "")) return;
    if (!before.has(id)) before.set(id, old);
    const known = before.get(id);
    if (json === "") entries.delete(id);
    else entries.set(id, json === known?.json ? known : { json, item: parse(json) });
    itemsStale = true;
    if (json === "" || !old) orderStale = true; // it came or went
  }

  function refresh(): void {
    const asked = [...stale];
    stale.clear();
    asked.forEach(read);
    const order = orderStale && source.order();
    if (!order) return;
    const ids = keep(order, now.ids, told.ids);
    ids.forEach((id) => entries.has(id) || read(id));
    itemsStale ||= ids !== now.ids;
    now = { ...now, ids, sort: source.sort() };
    orderStale = false;
  }

  function items(): readonly Item<F>[] {
    if (itemsStale) {
      const found = now.ids.flatMap((id) => entries.get(id)?.item ?? []);
      now = { ...now, items: keep(found, now.items, told.items) };
      itemsStale = false;
    }
    return now.items;
  }

  const ofPart = { ids: listeners(), items: listeners(), sort: listeners() };
  const heard = (): boolean =>
    ofPart.ids.size + ofPart.items.size + ofPart.sort.size + ofItem.size > 0;

  function mark(): void {
    refresh();
    told = itemsStale ? { ...now, items: told.items } : now;
    before.clear();
  }

  const part = <P extends keyof Parts<F>>(name: P): Readable<Parts<F>[P]> => ({
    snapshot() {
      refresh();
      if (name === "items") items();
      return now[name];
    },
    subscribe(changed) {
      if (!heard()) mark(); // they know what is there now
      return ofPart[name].add(changed);
    },
  });

  return {
    ids: part("ids"),
    items: part("items"),
    sort: part("sort"),
    item: (id) => ({
      snapshot() {
        refresh();
        return entries.get(id)?.item;
      },
      subscribe(changed) {
        if (!heard()) mark();
        return ofItem.add(id, changed);
      },
    }),
    reset() {
      orderStale = true;
      for (const id of entries.keys()) stale.add(id);
    },
    changed(id) {
      if (id) stale.add(id);
      else orderStale = true;
    },
    mark,
    tell() {
      if (!heard()) return; // then the next reader asks
      refresh();
      const [old, changes] = [told, [...before]];
      mark();
      const changed = changes.filter(([id, entry]) => entry !== entries.get(id));
      const moved = old.ids !== told.ids;
      for (const [id] of changed) ofItem.tell(id);
      if (old.sort !== told.sort) ofPart.sort.tell();
      if (moved) ofPart.ids.tell();
      if (moved || changed.length > 0) ofPart.items.tell();
    },
  };
}

function parse<F extends string>(json: string): Item<F> {
  const { id, imageId, fields } = JSON.parse(json) as {
    id: Id;
    imageId: string;
    fields: Record<string, string>;
  };
  return Object.freeze({ ...fields, id, imageId }) as Item<F>;
}

/** `next`, or one of the older arrays if that has the same members. */
function keep<T>(next: T[], ...older: (readonly T[])[]): readonly T[] {
  const same = (old: readonly T[]): boolean =>
    old.length === next.length && next.every((member, i) => member === old[i]);
  return older.find(same) ?? Object.freeze(next);
}
