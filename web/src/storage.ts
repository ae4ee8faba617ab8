/**
 * storage.ts - the two places where the engine's records lie (src/client/engine.h):
 *
 *   local   localStorage: synchronous; survives the tab, loses its last seconds when the
 *           browser is killed
 *   disk    IndexedDB, one strict transaction at a time: survives the browser. Decides.
 *
 * Records are kept blindly: key -> text. The one thing understood here is the guard of a
 * transaction, for it must be decided inside the transaction.
 */
import type { Outcome, Transaction, Write } from "./core.js";

export interface LocalStore {
  keys(): string[];
  get(key: string): string | null;
  /** Throws when storage refuses: full, or switched off. */
  set(key: string, text: string): void;
  remove(key: string): void;
  /** Another page changed `key`; null: all was cleared. */
  watch?(changed: (key: string | null) => void): () => void;
}

export type Committed = { readonly outcome: Exclude<Outcome, "failed">; readonly cursor: number };

export interface DiskStore {
  load(): Promise<[key: string, text: string][]>;
  /** All of it or nothing; when it rejects, nothing is stored. */
  commit(transaction: Transaction): Promise<Committed>;
  /** Called when the store is closed from outside: cleared, or wanted by a newer version. */
  onlost?: (() => void) | undefined;
  close(): void;
}

/** What a transaction comes to, given the stored record `state`. Pure: every store uses it. */
export function decide(
  { guard, guarded, always }: Transaction,
  state: string | undefined,
): Committed & { writes: readonly Write[] } {
  const [generation, cursor] = pair(state);
  if (guard === null) return { outcome: "committed", cursor: Math.max(cursor, 0), writes: always };
  if (guard[0] > generation || (guard[0] === generation && guard[1] > cursor)) {
    return { outcome: "committed", cursor: guard[1], writes: [...guarded, ...always] };
  }
  const outcome = generation > guard[0] ? "superseded" : "refused";
  return { outcome, cursor, writes: always };
}

/** The stored (generation, cursor); any pair exceeds an absent or unreadable one. */
function pair(state: string | undefined): [generation: number, cursor: number] {
  try {
    const { generation, cursor } = JSON.parse(state ?? "") as Record<string, unknown>;
    if (typeof generation === "number" && typeof cursor === "number") return [generation, cursor];
  } catch {
    // as absent
  }
  return [-1, -1];
}

/** localStorage below `tidemark/<scope>/`; undefined where there is none. */
export function browserLocal(scope: string): LocalStore | undefined {
  const prefix = `tidemark/${scope}/`;
  let storage: Storage;
  try {
    storage = globalThis.localStorage; // a page without the right to it throws here
    if (!storage) return undefined;
    void storage.length;
  } catch {
    return undefined;
  }
  return {
    keys() {
      const keys: string[] = [];
      for (let i = 0; i < storage.length; i++) {
        const key = storage.key(i);
        if (key?.startsWith(prefix)) keys.push(key.slice(prefix.length));
      }
      return keys;
    },
    get: (key) => storage.getItem(prefix + key),
    set: (key, text) => storage.setItem(prefix + key, text),
    remove: (key) => storage.removeItem(prefix + key),
    watch(changed) {
      const told = (event: StorageEvent): void => {
        if (event.storageArea !== storage) return;
        if (event.key === null) changed(null);
        else if (event.key.startsWith(prefix)) changed(event.key.slice(prefix.length));
      };
      globalThis.addEventListener("storage", told);
      return () => globalThis.removeEventListener("storage", told);
    },
  };
}

const RECORDS = "records";
/** The version of the database's shape: one object store, key -> text. */
const SHAPE = 1;
/** An open that has not answered by then is taken for "there is none" (seen in private modes). */
const OPEN_MS = 5000;
const OPEN_TRIES = 10;
const RETRY_MS = 200;

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB failed"));
  });

const pause = (ms: number): Promise<undefined> =>
  new Promise((resolve) => setTimeout(resolve, ms, undefined));

/** The IndexedDB of this scope; undefined where there is none or it does not open. */
export async function browserDisk(scope: string): Promise<DiskStore | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      const opening = globalThis.indexedDB.open(`tidemark/${scope}`, SHAPE);
      opening.onupgradeneeded = () => void opening.result.createObjectStore(RECORDS);
      const database = await Promise.race([done(opening), pause(OPEN_MS)]);
      if (database) return new Disk(database);
      opening.onsuccess = () => opening.result.close(); // it came too late
      return undefined;
    } catch (error) {
      // Aborted: what was here is just being cleared. Anything else: none for this page.
      if ((error as Error).name !== "AbortError" || tries === OPEN_TRIES) return undefined;
      await pause(RETRY_MS);
    }
  }
}

class Disk implements DiskStore {
  onlost: (() => void) | undefined;
  readonly #database: IDBDatabase;
  /** Rejects what is out. */
  readonly #out = new Set<(reason: unknown) => void>();

  constructor(database: IDBDatabase) {
    this.#database = database;
    database.onclose = () => this.#lost();
    // Somebody deletes it or brings a newer shape: whoever does not close blocks them.
    database.onversionchange = () => {
      database.close();
      this.#lost();
    };
  }

  #lost(): void {
    this.#out.forEach((reject) =>
      reject(new DOMException("the database was closed", "InvalidStateError")),
    );
    this.onlost?.();
  }

  /** What is out when the database goes may never be answered. */
  #orLost<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#out.add(reject);
      work.then(resolve, reject).finally(() => this.#out.delete(reject));
    });
  }

  async load(): Promise<[string, string][]> {
    const store = this.#store("readonly"); // one transaction: keys and texts fit together
    const reading = Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    const [keys, texts] = await this.#orLost(reading);
    return keys.map((key, i) => [String(key), String(texts[i])]);
  }

  commit(transaction: Transaction): Promise<Committed> {
    const committing = new Promise<Committed>((resolve, reject) => {
      const store = this.#store("readwrite");
      let decided: ReturnType<typeof decide> | undefined;
      store.transaction.oncomplete = () =>
        decided ? resolve(decided) : reject(new Error("nothing was decided"));
      store.transaction.onabort = () =>
        reject(store.transaction.error ?? new Error("the transaction was aborted"));
      const reading = store.get("state") as IDBRequest<string | undefined>;
      reading.onsuccess = () => {
        decided = decide(transaction, reading.result);
        for (const [verb, key, text] of decided.writes) {
          if (verb === "put") store.put(text, key);
          else if (verb === "del") store.delete(key);
          else store.delete(IDBKeyRange.bound(key, `${key}\uffff`));
        }
      };
    });
    return this.#orLost(committing);
  }

  close(): void {
    this.#database.close();
  }

  #store(mode: IDBTransactionMode): IDBObjectStore {
    return this.#database.transaction(RECORDS, mode, { durability: "strict" }).objectStore(RECORDS);
  }
}
