/**
 * view.ts - what the list shows, as snapshots that keep their identity while nothing in
 * them changes: the engine is asked for what it said has changed, and only then.
 *
 * A change made inside a batch is seen at once by who reads, and told to the listeners when
 * the batch is whole. One that was taken back leaves the very objects that were there before.
 */
import type { Session } from "./session.js";
import { Listeners, type Readable } from "./readable.js";
import type { Direction, Id, Item } from "./types.js";

type Entry<F extends string> = { readonly json: string; readonly item: Item<F> };
type Shown<F extends string> = {
  readonly ids: readonly Id[];
  readonly items: readonly Item<F>[];
  readonly sort: Direction;
};

export class View<F extends string> {
  #source: Session | undefined;
  #entries = new Map<Id, Entry<F>>();
  #shown: Shown<F> = { ids: Object.freeze([]), items: Object.freeze([]), sort: "asc" };
  /** What the listeners know. */
  #told = this.#shown;
  /** Entries as the listeners know them, of those that changed since. */
  #before = new Map<Id, Entry<F> | undefined>();
  #stale = new Set<Id>();
  #orderStale = false;
  readonly #listeners = { ids: new Listeners(), items: new Listeners(), sort: new Listeners() };
  readonly #ofItem = new Map<Id, Listeners>();

  readonly ids: Readable<readonly Id[]> = this.#part("ids");
  readonly items: Readable<readonly Item<F>[]> = this.#part("items");
  readonly sort: Readable<Direction> = this.#part("sort");

  /** Another engine tells from now on: everything may be different. */
  reset(source: Session): void {
    this.#source = source;
    this.#orderStale = true;
    for (const id of this.#entries.keys()) this.#stale.add(id);
  }

  /** `id` may be different; "" = the order, or the sort direction. */
  changed(id: Id | ""): void {
    if (id === "") this.#orderStale = true;
    else this.#stale.add(id);
  }

  get(id: Id): Item<F> | undefined {
    this.#refresh();
    return this.#entries.get(id)?.item;
  }

  item(id: Id): Readable<Item<F> | undefined> {
    return {
      snapshot: () => this.get(id),
      subscribe: (changed) => {
        if (!this.#listened()) this.mark(); // they know what is there now
        const listeners = this.#ofItem.get(id) ?? new Listeners();
        this.#ofItem.set(id, listeners);
        const out = listeners.add(changed);
        return () => {
          out();
          if (listeners.size === 0 && this.#ofItem.get(id) === listeners) this.#ofItem.delete(id);
        };
      },
    };
  }

  /** From here on a change that is taken back gives what is there now. */
  mark(): void {
    this.#refresh();
    this.#told = this.#shown;
    this.#before = new Map();
  }

  /** Tells the listeners what has changed since they were told last. */
  tell(): void {
    if (!this.#listened()) return; // then the next reader asks
    this.#refresh();
    const [told, shown, before] = [this.#told, this.#shown, this.#before];
    if (told === shown && before.size === 0) return;
    this.mark();
    for (const [id, entry] of before)
      if (entry !== this.#entries.get(id)) this.#ofItem.get(id)?.tell();
    for (const part of ["sort", "ids", "items"] as const) {
      if (told[part] !== shown[part]) this.#listeners[part].tell();
    }
  }

  #listened(): boolean {
    return this.#ofItem.size > 0 || Object.values(this.#listeners).some(({ size }) => size > 0);
  }

  #part<P extends keyof Shown<F>>(part: P): Readable<Shown<F>[P]> {
    return {
      snapshot: () => {
        this.#refresh();
        return this.#shown[part];
      },
      subscribe: (changed) => {
        if (!this.#listened()) this.mark();
        return this.#listeners[part].add(changed);
      },
    };
  }

  #refresh(): void {
    if (!this.#source || (this.#stale.size === 0 && !this.#orderStale)) return;
    const order = this.#orderStale;
    const stale = [...this.#stale];
    this.#stale.clear();
    this.#orderStale = false;
    let moved = order;
    let touched = order;
    for (const id of stale) {
      const old = this.#entries.get(id);
      const entry = this.#read(id);
      if (entry === old) continue;
      touched = true;
      if (!entry || !old) moved = true; // it came or went: the order has, too
    }
    if (!touched) return;
    const sort = moved ? this.#source.read((engine, now) => engine.sort(now)) : this.#shown.sort;
    let ids = this.#shown.ids;
    if (moved)
      ids = keep(
        this.#source.read((engine, now) => engine.order(now)),
        this.#shown.ids,
        this.#told.ids,
      );
    const found = ids.map((id) => (this.#entries.get(id) ?? this.#read(id))?.item);
    const items = keep(found as Item<F>[], this.#shown.items, this.#told.items);
    const same = (other: Shown<F>): boolean =>
      other.ids === ids && other.items === items && other.sort === sort;
    this.#shown = same(this.#told)
      ? this.#told
      : same(this.#shown)
        ? this.#shown
        : { ids, items, sort };
  }

  /** Asks the engine for one item; an entry that says the same as before is the same. */
  #read(id: Id): Entry<F> | undefined {
    const json = this.#source!.read((engine, now) => engine.item(now, id));
    const old = this.#entries.get(id);
    if (json === (old?.json ?? "")) return old;
    const known = this.#before.has(id) ? this.#before.get(id) : old;
    const entry =
      json === "" ? undefined : json === known?.json ? known : { json, item: parse<F>(json) };
    if (!this.#before.has(id)) this.#before.set(id, old);
    if (entry) this.#entries.set(id, entry);
    else this.#entries.delete(id);
    return entry;
  }
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
  for (const old of older)
    if (old.length === next.length && next.every((member, i) => member === old[i])) return old;
  return Object.freeze(next);
}
