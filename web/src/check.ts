/** check.ts - a caller's mistakes, found where they are made; and the browser's defaults. */
import { encoder } from "./core.js";
import { fail, quoted } from "./errors.js";
import { browserClock, browserPage } from "./host.js";
import { browserDisk, browserLocal } from "./storage.js";
import type { OpenSocket } from "./transport.js";
import type { Data, Options } from "./types.js";
import { browserLocks } from "./writers.js";

/** Options with nothing left open. */
export type Checked<F extends string> = ReturnType<typeof checkOptions<F>>;

export function checkOptions<F extends string>(options: Options<F>) {
  const {
    user,
    list,
    storage = {},
    random = (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    newId = () => word(15),
    socket = browserSocket(),
    fetch = (input, init) => globalThis.fetch(input, init),
    clock = browserClock,
    page = browserPage(),
  } = options;
  if (!user || typeof user !== "string") fail("user", "whose list is it?");
  if (!/^[a-z0-9-]{1,64}$/.test(list)) fail("list", "1 to 64 of a-z, 0-9 and -");
  options.fields?.forEach(checkName);
  const url = address(options.url);
  // Encoded, so that no user's name can reach into another's records.
  const scope = [url, user, list].map(encodeURIComponent).join("/");
  /** A random word of so many bytes, a multiple of 3. */
  const word = (bytes: number): string =>
    btoa(String.fromCharCode(...random(bytes))).replace(/\W/g, (c) => (c === "+" ? "-" : "_"));
  const local = (storage.local ?? browserLocal)(scope);
  return {
    ...options,
    url,
    random,
    word,
    local,
    clock,
    newId,
    openDisk: () => (storage.disk ?? browserDisk)(scope),
    locks: storage.locks?.(scope) ?? browserLocks(scope, local, clock, word),
    /** Some browsers ask the user; where it is not to be had it rejects. */
    persist: storage.persist ?? (async () => navigator.storage.persist()),
    socket,
    fetch,
    page,
  };
}

function address(given: string): string {
  let url: URL | undefined;
  try {
    url = new URL(given || "/", globalThis.location?.href);
  } catch {
    // said below
  }
  if (!url || !/^https?:[^?#@]*$/.test(url.href))
    fail("url", "write it like https://photos.example");
  return url.href.replace(/\/+$/, "");
}

const browserSocket = (): OpenSocket | null =>
  typeof WebSocket === "undefined" ? null : (url, protocols) => new WebSocket(url, protocols);

/** SEMANTICS 1; and not what an item has already. */
function checkName(name: string): void {
  if (!/^(?!(id|imageId)$)[A-Za-z][A-Za-z0-9_]{0,31}$/.test(name))
    fail("field-name", `${quoted(name)}: use a letter, then up to 31 letters, digits and _`);
}

/** SEMANTICS 8. */
const VALUE_MAX = 4096;

/** What is `undefined` is left out. True: something is written. */
export function checkData<F extends string>(
  data: Data<F> | undefined,
  fields: readonly F[] | undefined,
): boolean {
  let some = false;
  for (const [name, value] of Object.entries<string | null | undefined>(data ?? {})) {
    if (value === undefined) continue;
    some = true;
    if (fields && !fields.includes(name as F))
      fail("field", `${quoted(name)} is none of ${fields.join(", ")}`);
    checkName(name);
    if (value === null) continue;
    const whole = typeof value === "string" && !/\p{Surrogate}/u.test(value);
    const { length } = encoder.encode(value);
    if (!whole) fail("value", `${name} must be null or whole characters`);
    if (length > VALUE_MAX) fail("too-long", `${name} has ${length} bytes, ${VALUE_MAX} fit`);
  }
  return some;
}
