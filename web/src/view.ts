/**
 * view.ts - what the list shows, as snapshots that keep their identity while nothing in
 * them changes: the engine is asked for what it said has changed, and only then.
 *
 * Inside a batch who reads asks the engine itself, and nothing is remembered of it: the batch
 * may be taken back, and then the very objects are there that were before it.
 */
import { makeHub, type Readable } from "./readable.js";
import type { Direction, Id, Item } from "./types.js";

/** What is shown now, asked of the engine; undefined = it cannot be asked. */
export interface Source {
  /** As JSON; "" = it is not shown. */
  item(id: Id): string | undefined;
  order(): Id[] | undefined;
  sort(): Direction;
  /** A batch is open. */
  passing(): boolean;
}

type Entry<F extends string> = { readonly json: string; readonly item: Item<F> };

export type View<F extends string> = {
  readonly ids: Readable<readonly Id[]>;
  readonly items: Readable<readonly Item<F>[]>;
  readonly sort: Readable<Direction>;
  item(id: Id): Readable<Item<F> | undefined>;
  /** Another engine tells from now on: everything may be different. */
  reset(): void;
  /** `id` may be different; "" = the order, or the sort direction. */
  changed(id: Id): void;
  /** Tells the listeners what has changed since they were told last. */
  tell(): void;
};

/** While nobody can be asked, what was shown last is shown. */
export function makeView<F extends string>(source: Source): View<F> {
  const entries = new Map<Id, Entry<F>>();
  let ids: readonly Id[] = [];
  let items: readonly Item<F>[] = [];
  let sort: Direction = "asc";
  /** What is to be asked again, ... */
  const stale = new Set<Id>();
  let orderStale = false;
  let itemsStale = false;
  const hub = makeHub(); // an item's listeners by its id behind "/", the others by a word
  /** ... and whose listeners are to be told of what was found different. */
  const news = new Set<string>();

  /** One that says the same as before is the same. */
  function read(id: Id): Entry<F> | undefined {
    const known = entries.get(id);
    const json = source.item(id);
    if (json === undefined || json === known?.json) return known;
    return json ? { json, item: parse(json) } : undefined;
  }

  function update(id: Id): void {
    const known = entries.get(id);
    const entry = read(id);
    if (entry === known) return;
    if (entry) entries.set(id, entry);
    else entries.delete(id);
    news.add(`/${id}`).add("items");
    itemsStale = true;
    orderStale ||= !entry || !known; // it came or went
  }

  function refresh(): void {
    if (source.passing()) return;
    const asked = [...stale];
    stale.clear();
    asked.forEach(update);
    const order = orderStale && source.order();
    if (!order) return;
    const before = sort;
    sort = source.sort();
    if (sort !== before) news.add("sort");
    if (order.length !== ids.length || order.some((id, i) => id !== ids[i])) {
      ids = order;
      news.add("ids").add("items");
      itemsStale = true;
    }
    ids.forEach((id) => entries.has(id) || update(id));
    orderStale = false;
  }

  function allItems(): readonly Item<F>[] {
    refresh();
    if (source.passing()) return (source.order() ?? ids).flatMap((id) => read(id)?.item ?? []);
    if (itemsStale) items = Object.freeze(ids.flatMap((id) => entries.get(id)?.item ?? []));
    itemsStale = false;
    return items;
  }

  const readable = <T>(name: string, snapshot: () => T): Readable<T> => ({
    snapshot() {
      refresh();
      return snapshot();
    },
    subscribe(changed) {
      refresh();
      if (!hub.heard()) news.clear(); // they know what is there now
      return hub.on(name, changed);
    },
  });

  return {
    ids: readable("ids", () => (source.passing() && source.order()) || ids),
    items: readable("items", allItems),
    sort: readable("sort", () => (source.passing() && source.sort()) || sort),
    item: (id) => readable(`/${id}`, () => (source.passing() ? read(id) : entries.get(id))?.item),
    reset() {
      orderStale = true;
      for (const id of entries.keys()) stale.add(id);
    },
    changed(id) {
      if (id) stale.add(id);
      else orderStale = true;
    },
    tell() {
      if (!hub.heard()) return; // then the next reader asks
      refresh();
      const names = [...news];
      news.clear();
      names.forEach((name) => hub.tell(name));
    },
  };
}

function parse<F extends string>(json: string): Item<F> {
  const { fields, ...item } = JSON.parse(json) as { fields: Record<string, string> };
  return Object.freeze({ ...fields, ...item }) as unknown as Item<F>;
}
