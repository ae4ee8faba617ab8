/** check.ts - a caller's mistakes, found where they are made; and the browser's defaults. */
import type { CoreSource } from "./core.js";
import { browserClock, browserPage, type Clock, type Page } from "./host.js";
import { base64url } from "./session.js";
import { browserDisk, browserLocal, type DiskStore, type LocalStore } from "./storage.js";
import type { OpenSocket, Token } from "./transport.js";
import type { Data, Id, Options } from "./types.js";
import { browserLocks, type Locks } from "./writers.js";

/** Options with nothing left open. */
export type Checked<F extends string> = {
  readonly url: string;
  readonly user: string;
  readonly list: string;
  readonly token: Token | undefined;
  readonly fields: readonly F[] | undefined;
  readonly warnBeforeClose: boolean;
  readonly newId: () => Id;
  readonly core: CoreSource | undefined;
  readonly local: LocalStore | undefined;
  readonly openDisk: () => Promise<DiskStore | undefined>;
  readonly locks: Locks;
  readonly persist: () => Promise<unknown>;
  readonly socket: OpenSocket | null;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly page: Page;
  readonly random: (bytes: number) => Uint8Array;
};

export function checkOptions<F extends string>(options: Options<F>): Checked<F> {
  const { user, list, token, fields, storage = {}, clock = browserClock } = options;
  if (typeof user !== "string" || user === "")
    throw new TypeError("tidemark: openList needs a user: whose list is it?");
  if (!/^[a-z0-9-]{1,64}$/.test(list)) {
    throw new TypeError(
      `tidemark: a list's name is 1 to 64 of a-z, 0-9 and "-", not ${JSON.stringify(list)}`,
    );
  }
  const taken = fields?.find((name) => !fieldName(name));
  if (taken !== undefined) throw new TypeError(badField(taken));
  const url = address(options.url);
  // Encoded, so that no user's name can reach into another's records.
  const scope = [url, user, list].map(encodeURIComponent).join("/");
  const random = options.random ?? ((bytes) => crypto.getRandomValues(new Uint8Array(bytes)));
  const local = (storage.local ?? browserLocal)(scope);
  const word = (bytes: number): string => base64url(random(bytes));
  return {
    url,
    user,
    list,
    token,
    fields,
    warnBeforeClose: options.warnBeforeClose ?? false,
    newId: options.newId ?? (() => word(15)),
    core: options.core,
    local,
    openDisk: () => (storage.disk ?? browserDisk)(scope),
    locks: storage.locks?.(scope) ?? browserLocks(scope, local, clock, word),
    persist: storage.persist ?? persist,
    socket: options.socket === undefined ? browserSocket() : options.socket,
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    clock,
    page: options.page ?? browserPage(),
    random,
  };
}

function address(given: string): string {
  let url: URL;
  try {
    url = new URL(given || "/", globalThis.location?.href);
  } catch {
    throw new TypeError(
      `tidemark: ${JSON.stringify(given)} is no address; write it like "https://photos.example"`,
    );
  }
  if (!/^https?:$/.test(url.protocol))
    throw new TypeError(`tidemark: the address must be http or https, not ${url.protocol}`);
  if (url.search || url.username || url.password) {
    throw new TypeError(
      "tidemark: the address takes no query and no password; a token goes into `token`",
    );
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

const browserSocket = (): OpenSocket | null =>
  typeof WebSocket === "undefined" ? null : (url, protocols) => new WebSocket(url, protocols);

/** Some browsers ask the user: once, and not if the answer is known. */
async function persist(): Promise<unknown> {
  const storage = globalThis.navigator?.storage as StorageManager | undefined;
  return (await storage?.persisted?.()) || storage?.persist?.();
}

/** SEMANTICS 1; and not what an item has already. */
const fieldName = (name: string): boolean =>
  /^[A-Za-z][A-Za-z0-9_]{0,31}$/.test(name) && name !== "id" && name !== "imageId";
const badField = (name: string): string =>
  `tidemark: a field cannot be called ${JSON.stringify(name)}: a letter, then up to 31 letters, digits and "_"; not id or imageId`;

/** SEMANTICS 8. */
const VALUE_MAX = 4096;
const encoder = new TextEncoder();

/** The data to write; what is `undefined` is left out. */
export function checkData<F extends string>(
  data: Data<F>,
  fields: readonly F[] | undefined,
): Data<string> {
  const given = Object.entries<string | null | undefined>(data).filter(
    ([, value]) => value !== undefined,
  );
  for (const [name, value] of given) {
    if (fields && !fields.includes(name as F)) {
      throw new TypeError(
        `tidemark: no field ${JSON.stringify(name)}; this list has ${fields.join(", ")}`,
      );
    }
    if (!fieldName(name)) throw new TypeError(badField(name));
    if (value === null) continue;
    if (typeof value !== "string")
      throw new TypeError(`tidemark: ${name} must be a string or null, not ${typeof value}`);
    if (/\p{Surrogate}/u.test(value))
      throw new RangeError(`tidemark: ${name} holds half of a character (a lone surrogate)`);
    const bytes = value.length * 3 <= VALUE_MAX ? 0 : encoder.encode(value).length;
    if (bytes > VALUE_MAX)
      throw new RangeError(
        `tidemark: ${name} is too long: ${bytes} bytes, at most ${VALUE_MAX} fit`,
      );
  }
  return Object.fromEntries(given) as Data<string>;
}
