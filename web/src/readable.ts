/** readable.ts - the one contract of everything that can be read, and its listeners. */

export interface Readable<T> {
  /** Immutable, and the same object until something in it changes. */
  snapshot(): T;
  /** Calls `changed` after each change, never during one. Returns the way out. */
  subscribe(changed: () => void): () => void;
}

/** Those who want to be told. One that throws does not keep the others from being told. */
export class Listeners<T = void> {
  readonly #all = new Set<(told: T) => void>();

  get size(): number {
    return this.#all.size;
  }
  readonly add = (listener: (told: T) => void): (() => void) => {
    const own = (told: T): void => listener(told); // the same function may listen twice
    this.#all.add(own);
    return () => void this.#all.delete(own);
  };
  tell(told: T): void {
    for (const listener of [...this.#all]) {
      try {
        listener(told);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // the page's error handler hears of it, as of any listener's
        });
      }
    }
  }
}

/** A value that tells when it was replaced; `tell` is called when a change is whole. */
export class Cell<T> implements Readable<T> {
  readonly #listeners = new Listeners();
  #value: T;
  #told: T;

  constructor(value: T) {
    this.#value = this.#told = value;
  }
  readonly snapshot = (): T => this.#value;
  readonly subscribe = (changed: () => void): (() => void) => this.#listeners.add(changed);
  put(value: T): void {
    this.#value = value;
  }
  tell(): void {
    if (Object.is(this.#told, this.#value)) return;
    this.#told = this.#value;
    this.#listeners.tell();
  }
}
