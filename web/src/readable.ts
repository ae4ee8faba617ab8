/** readable.ts - the one contract of everything that can be read, and its listeners. */

/** A value that can be read at any time, and tells when it changes. */
export interface Readable<T> {
  /** Immutable, and the same object until something in it changes. */
  snapshot(): T;
  /** Calls `changed` after each change, never during one. Returns the way out. */
  subscribe(changed: () => void): () => void;
}

/** Those who want to be told, each of one thing by its name. */
export type Hub = {
  /** How many names are listened for. */
  heard(): number;
  on(name: string, listener: (told: never) => void): () => void;
  /** One listener that throws does not keep the others from being told. */
  tell(name: string, told?: unknown): void;
  /** What `snapshot` gives, and `name` tells of. */
  readable<T>(name: string, snapshot: () => T): Readable<T>;
};

export function makeHub(): Hub {
  const all = new Map<string, Set<(told: never) => void>>();
  function on(name: string, listener: (told: never) => void): () => void {
    const those = all.get(name) ?? new Set();
    const own = (told: never): void => listener(told); // the same function may listen twice
    all.set(name, those.add(own));
    return () => {
      if (those.delete(own) && those.size === 0) all.delete(name);
    };
  }
  return {
    heard: () => all.size,
    on,
    tell(name, told) {
      for (const listener of [...(all.get(name) ?? [])]) {
        try {
          listener(told as never);
        } catch (error) {
          // The page's error handler hears of it, as of any listener's.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
    readable: (name, snapshot) => ({ snapshot, subscribe: (changed) => on(name, changed) }),
  };
}
