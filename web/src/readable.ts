/** readable.ts - the one contract of everything that can be read, and its listeners. */

/** A value that can be read at any time, and tells when it changes. */
export interface Readable<T> {
  /** Immutable, and the same object until something in it changes. */
  snapshot(): T;
  /** Calls `changed` after each change, never during one. Returns the way out. */
  subscribe(changed: () => void): () => void;
}

/** Those who want to be told. */
export type Listeners<T = void> = {
  /** Returns the way out. */
  add(listener: (told: T) => void): () => void;
  tell(told: T): void;
  readonly size: number;
};

/** One listener that throws does not keep the others from being told. */
export function listeners<T = void>(emptied?: () => void): Listeners<T> {
  const all = new Set<(told: T) => void>();
  return {
    get size() {
      return all.size;
    },
    add(listener) {
      const own = (told: T): void => listener(told); // the same function may listen twice
      all.add(own);
      return () => {
        if (all.delete(own) && all.size === 0) emptied?.();
      };
    },
    tell(told) {
      for (const listener of [...all]) {
        try {
          listener(told);
        } catch (error) {
          // The page's error handler hears of it, as of any listener's.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}

/** Listeners of one thing each, by its id. */
export function listenersById(): {
  add(id: string, listener: () => void): () => void;
  tell(id: string): void;
  readonly size: number;
} {
  const all = new Map<string, Listeners>();
  return {
    get size() {
      return all.size;
    },
    add(id, listener) {
      const those = all.get(id) ?? listeners(() => all.delete(id));
      all.set(id, those);
      return those.add(listener);
    },
    tell: (id) => all.get(id)?.tell(),
  };
}

/** A value that tells when it was replaced; `tell` is called when a change is whole. */
export type Cell<T> = Readable<T> & { put(value: T): void; tell(): void };

export function cell<T>(value: T): Cell<T> {
  const { add, tell } = listeners();
  let told = value;
  return {
    snapshot: () => value,
    subscribe: add,
    put(next) {
      value = next;
    },
    tell() {
      if (told === value) return;
      told = value;
      tell();
    },
  };
}
