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
import type { Transaction, Write } from "./core.js";
import { browserClock, listen, pause } from "./host.js";

/** Records that are written at once; the default is localStorage. */
export interface LocalStore {
  /** Of all records, in any order. */
  keys(): string[];
  /** null: there is none. */
  get(key: string): string | null;
  /** Throws when storage refuses: full, or switched off. */
  set(key: string, text: string): void;
  /** Of a key that is not there, too. */
  remove(key: string): void;
  /** Another page changed `key`; null: all was cleared. */
  watch?(changed: (key: string | null) => void): () => void;
}

/** What a transaction came to, and the cursor that is stored after it. */
export type Committed = {
  /**
   * All of it was written (`committed`), or only what is not guarded: what is stored is as new
   * (`refused`), or not what the page knows, of another generation (`superseded`).
   */
  readonly outcome: "committed" | "refused" | "superseded";
  /** 0 if none is stored. */
  readonly cursor: number;
};

/** Records that survive the browser; the default is IndexedDB. */
export interface DiskStore {
  /** All records, as they stood at one moment. */
  load(): Promise<[key: string, text: string][]>;
  /** All of it or nothing; when it rejects, nothing is stored. */
  commit(transaction: Transaction): Promise<Committed>;
  /** Called when the store is closed from outside: cleared, or wanted by a newer version. */
  onlost?: (() => void) | undefined;
  /** Lets go of it; nothing is asked of it any more. */
  close(): void;
}

/**
 * What a transaction comes to, given the stored record `state` (undefined: there is none),
 * and what to write. Pure: every store uses it, inside the transaction.
 */
export function decide(
  { guard, guarded, always }: Transaction,
  state: string | undefined,
): Committed & { readonly writes: readonly Write[] } {
  const [generation, cursor, mark] = stored(state);
  const newer =
    guard &&
    (generation < 0 ||
      (guard[2] === mark && (guard[0] > generation || (guard[0] === generation && guard[1] > cursor))));
  return {
    outcome: !guard || newer ? "committed" : generation !== guard[0] ? "superseded" : "refused",
    cursor: newer ? guard[1] : Math.max(cursor, 0),
    writes: newer ? [...guarded, ...always] : always,
  };
}

/** The stored (generation, cursor) and its mark; any pair exceeds an absent or unreadable one. */
function stored(state = ""): [generation: number, cursor: number, mark?: string] {
  try {
    const { generation, cursor, mark } = JSON.parse(state) as Record<string, never>;
    if (generation! >= 0 && cursor! >= 0) return [generation!, cursor!, mark!];
  } catch {
    // as absent
  }
  return [-1, -1];
}

/** localStorage below `tidemark/<scope>/`; undefined where there is none. */
export function browserLocal(scope: string): LocalStore | undefined {
  const prefix = `tidemark/${scope}/`;
  const own = (key: string): boolean => key.startsWith(prefix);
  try {
    const storage = globalThis.localStorage; // a page without the right to it throws here
    void storage.length;
    return {
      keys: () =>
        Object.keys(storage)
          .filter(own)
          .map((key) => key.slice(prefix.length)),
      get: (key) => storage.getItem(prefix + key),
      set: (key, text) => storage.setItem(prefix + key, text),
      remove: (key) => storage.removeItem(prefix + key),
      watch(changed) {
        return listen<StorageEvent>("storage", ({ storageArea, key }) => {
          if (storageArea !== storage) return;
          if (key === null || own(key)) changed(key && key.slice(prefix.length));
        });
      },
    };
  } catch {
    return undefined;
  }
}

const RECORDS = "records";
/** The version of the database's shape: one object store, key -> text. */
const SHAPE = 1;
/** An open that has not answered by then is taken for "there is none" (seen in private modes). */
const OPEN_MS = 5000;
const OPEN_TRIES = 10;
const RETRY_MS = 200;

/** The IndexedDB of this scope; undefined where there is none or it does not open. */
export async function browserDisk(scope: string): Promise<DiskStore | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      const opening = globalThis.indexedDB.open(`tidemark/${scope}`, SHAPE);
      opening.onupgradeneeded = () => void opening.result.createObjectStore(RECORDS);
      const opened = new Promise<unknown>((resolve, reject) => {
        opening.onsuccess = resolve;
        opening.onerror = () => reject(opening.error);
      });
      const inTime = await Promise.race([opened, pause(browserClock, OPEN_MS)]);
      if (inTime) return makeDisk(opening.result);
      opening.onsuccess = () => opening.result.close(); // it came too late
      return undefined;
    } catch (error) {
      // Aborted: what was here is just being cleared. Anything else: none for this page.
      if ((error as Error).name !== "AbortError" || tries === OPEN_TRIES) return undefined;
      await pause(browserClock, RETRY_MS);
    }
  }
}

function makeDisk(database: IDBDatabase): DiskStore {
  /** Rejects what is out: when the database goes it may never be answered. */
  const out = new Set<(reason: unknown) => void>();
  const lost = (): void => {
    out.forEach((reject) => reject(new Error("the database was closed")));
    disk.onlost?.();
  };
  database.onclose = lost;
  // Somebody deletes it or brings a newer shape: whoever does not close blocks them.
  database.onversionchange = () => {
    database.close();
    lost();
  };

  /** One transaction; what `work` returns gives its result when it is through. */
  const within = <T>(
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => () => T,
  ): Promise<T> => {
    let reject!: (reason: unknown) => void;
    return new Promise<T>((resolve, rejected) => {
      out.add((reject = rejected));
      const transaction = database.transaction(RECORDS, mode, { durability: "strict" });
      transaction.onabort = () => reject(transaction.error);
      const result = work(transaction.objectStore(RECORDS));
      transaction.oncomplete = () => resolve(result());
    }).finally(() => out.delete(reject));
  };

  const disk: DiskStore = {
    load: () =>
      within("readonly", (store) => {
        const [keys, texts] = [store.getAllKeys(), store.getAll()];
        return () => keys.result.map((key, i) => [String(key), String(texts.result[i])]);
      }),
    commit: (transaction) =>
      within("readwrite", (store) => {
        let committed!: Committed;
        const reading = store.get("state") as IDBRequest<string | undefined>;
        reading.onsuccess = () => {
          const { writes, ...outcome } = decide(transaction, reading.result);
          for (const [verb, key, text] of writes) {
            if (verb === "put") store.put(text, key);
            else store.delete(verb === "del" ? key : IDBKeyRange.bound(key, `${key}\uffff`));
          }
          committed = outcome;
        };
        return () => committed;
      }),
    close: () => database.close(),
  };
  return disk;
}
