/**
 * user.ts - the name by which the server knew us last, so that the page opens without it.
 *
 * It lies where the edits lie, in both places: localStorage alone loses its last seconds when
 * the browser is killed, and a browser may have only one of the two. Edits that are safe
 * could otherwise not be shown until the server is back.
 */
const NAME = "labeler";
const KEY = "user";
const LOCAL = `${NAME}/${KEY}`;

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => void opening.result.createObjectStore(NAME);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function inStore<T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await open();
  try {
    const transaction = database.transaction(NAME, mode, { durability: "strict" });
    const through = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    const request = work(transaction.objectStore(NAME));
    await through;
    return request.result;
  } finally {
    database.close();
  }
}

/** Storage that refuses is as storage that holds nothing. */
function inLocal<T>(work: (storage: Storage) => T): T | undefined {
  try {
    return work(localStorage);
  } catch {
    return undefined;
  }
}

/** undefined: never heard, or nothing can be stored here; then the server is asked. */
export async function rememberedUser(): Promise<string | undefined> {
  const name: unknown = await inStore("readonly", (store) => store.get(KEY)).catch(() => undefined);
  return typeof name === "string" ? name : (inLocal((local) => local.getItem(LOCAL)) ?? undefined);
}

export async function rememberUser(user: string): Promise<void> {
  inLocal((local) => local.setItem(LOCAL, user));
  await inStore("readwrite", (store) => store.put(user, KEY)).catch(() => undefined);
}

export async function forgetUser(): Promise<void> {
  inLocal((local) => local.removeItem(LOCAL));
  await inStore("readwrite", (store) => store.delete(KEY)).catch(() => undefined);
}
