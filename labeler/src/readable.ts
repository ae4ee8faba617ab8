/** readable.ts - values of the page's own, readable as tidemark's are. */
import type { Readable } from "tidemark";

export function readable<T>(value: T): Readable<T> & { put(value: T): void } {
  const listeners = new Set<() => void>();
  return {
    snapshot: () => value,
    subscribe(changed) {
      listeners.add(changed);
      return () => void listeners.delete(changed);
    },
    put(next) {
      value = next;
      [...listeners].forEach((changed) => changed());
    },
  };
}
