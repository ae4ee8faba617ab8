/**
 * rescue.ts - `tidemark/rescue`: what the server has not accepted, as a text that a person can
 * keep in a file, and such a text taken in by another browser of the same user.
 *
 * An operation keeps its id, so whatever reached the server all the same is a duplicate there
 * and no second edit. Taken in, it goes out as one that the server turned out to lack
 * (DESIGN 1): under a retired writer that is only drained, with its own time.
 *
 * It reads and writes storage and asks the engine for nothing, so it works when the engine has
 * stopped, too.
 *
 * @module tidemark/rescue
 */
import type { Transaction, Write } from "./core.js";
import { fail, quoted } from "./errors.js";
import { insides, type Inside } from "./list.js";
import { readAll } from "./session.js";
import type { DiskStore } from "./storage.js";
import type { List } from "./types.js";

/** What the text holds. */
export type Rescue = {
  readonly format: "tidemark-rescue";
  readonly version: 1;
  readonly user: string;
  readonly list: string;
  /** As they go over the wire (docs/PROTOCOL.md), without `seq`. */
  readonly operations: readonly RescuedOperation[];
};

/** One operation; it has more members than these, and they are kept as they are. */
export type RescuedOperation = {
  readonly id: string;
  readonly browserId: string;
  readonly version: number;
  readonly [member: string]: unknown;
};

/** What {@link importRescue} did. */
export type Imported = {
  /** So many operations were taken in. */
  readonly added: number;
  /** So many were in this browser already. */
  readonly known: number;
};

const FORMAT = "tidemark-rescue";
const VERSION = 1;

type Entry = { readonly writer: string; readonly operations: readonly RescuedOperation[] };

/** The disk, opened for this: the session's may be closed. */
async function withDisk<T>(
  { options }: Inside,
  work: (disk: DiskStore | undefined) => Promise<T>,
): Promise<T> {
  const disk = await options.openDisk();
  try {
    return await work(disk);
  } finally {
    disk?.close();
  }
}

/** The operations in this browser's storage and in this page's memory, by id. */
async function stored(of: Inside): Promise<{
  /** Not accepted, as far as it is known here. */
  readonly open: Map<string, RescuedOperation>;
  readonly all: Set<string>;
}> {
  const { options, session } = of;
  const unkept = (await session())?.unkept ?? [];
  const read = await withDisk(of, (disk) =>
    readAll(options.local, disk).catch(() => readAll(options.local, undefined)),
  );
  const kept = read.map(([, key, text]) => [key, text] as const);
  // The disk's copy of an entry knows what the server said of it, so it comes last.
  const records = new Map([...unkept, ...kept]);
  const decided = new Map<string, number>();
  const open = new Map<string, RescuedOperation>();
  const all = new Set<string>();
  for (const [key, text] of kept) {
    if (!key.startsWith("writer/")) continue;
    const writer = key.slice("writer/".length);
    const highest = Number(parsed(text)?.["decided"]) || 0;
    decided.set(writer, Math.max(highest, decided.get(writer) ?? 0));
  }
  for (const [key, text] of records) {
    if (!key.startsWith("op/")) continue;
    const { writer, operations } = (parsed(text) ?? { operations: [] }) as Entry;
    for (const operation of operations) {
      all.add(operation.id);
      const own = operation.browserId === writer;
      const done = own && operation.version <= (decided.get(writer) ?? 0);
      if (!done && !("seq" in operation)) open.set(operation.id, operation);
    }
  }
  return { open, all };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (value && typeof value === "object") return value as Record<string, unknown>;
  } catch {
    // damaged
  }
  return undefined;
}

function inside(list: List<never>): Inside {
  return insides.get(list) ?? fail("rescue-format", "give the list that openList made");
}

/**
 * Everything of this browser that the server has not accepted, as JSON text for a file: what is
 * stored, of other open pages too, and what is only in this page's memory because storage
 * refuses. Drafts are written first. `operations` is empty if there is nothing.
 *
 * The text is a {@link Rescue}. It holds what the user wrote, and no token.
 */
export async function exportRescue<F extends string>(list: List<F>): Promise<string> {
  const from = inside(list as never);
  from.writeDrafts();
  const { user, list: name } = from.options;
  const operations = [...(await stored(from)).open.values()];
  const rescue: Rescue = { format: FORMAT, version: VERSION, user, list: name, operations };
  return `${JSON.stringify(rescue, undefined, 1)}\n`;
}

/**
 * Takes in what {@link exportRescue} gave, in any browser of the same user: the operations are
 * stored, shown, and sent. To take a text in twice, or one of whose operations some have reached
 * the server, makes no second edit. All of it is taken in, or nothing.
 *
 * Rejects with a {@link tidemark!TidemarkError}; its message is for people. `rescue-format`: this is no
 * rescue file, or a damaged one; `rescue-version`: a newer version wrote it; `rescue-user`,
 * `rescue-list`: it is another user's, or another list's; `rescue-storage`: this browser's
 * storage refuses.
 */
export async function importRescue<F extends string>(
  list: List<F>,
  text: string,
): Promise<Imported> {
  const into = inside(list as never);
  const { options } = into;
  const { user, list: name, operations } = checked(text);
  if (user !== options.user)
    fail(
      "rescue-user",
      `this file is ${quoted(user)}'s, and this list is ${quoted(options.user)}'s; sign in as ${quoted(user)}`,
    );
  if (name !== options.list)
    fail(
      "rescue-list",
      `this file is of the list ${quoted(name)}, not of ${quoted(options.list)}; open that one`,
    );
  const { all } = await stored(into);
  const news = operations.filter(({ id }) => !all.has(id) && all.add(id));
  if (news.length > 0) {
    const writer = `rescue-${options.word(15)}`;
    const writes: Write[] = [
      ["put", `writer/${writer}`, '{"next":1,"decided":0,"timestamp":0,"logical":0,"retired":1}'],
    ];
    // One record each, under a name of its own: an entry named for one of them may still be
    // there for others.
    for (const operation of news) {
      const entry = { writer, generation: 0, operations: [operation], offered: [0] };
      writes.push(["put", `op/${options.word(15)}`, JSON.stringify(entry)]);
    }
    await withDisk(into, (disk) => store(into, disk, { guard: null, guarded: [], always: writes }));
    await (await into.session())?.adopt(writer); // else the next page does
  }
  return { added: news.length, known: operations.length - news.length };
}

/** In one of the two storages; the engine sees to the other. */
async function store(
  { options: { local } }: Inside,
  disk: DiskStore | undefined,
  transaction: Transaction,
): Promise<void> {
  const done: string[] = [];
  try {
    if (disk) return void (await disk.commit(transaction));
  } catch {
    // the other one, then
  }
  try {
    if (!local) throw new Error("there is none");
    for (const [, key, text = ""] of transaction.always) {
      done.push(key);
      local.set(key, text);
    }
  } catch {
    done.forEach((key) => local?.remove(key));
    fail(
      "rescue-storage",
      "this browser's storage refuses; free some space and take the file in again",
    );
  }
}

function checked(text: string): Rescue {
  const rescue = parsed(text) as Partial<Rescue> | undefined;
  const { format, version = 0, user, list, operations } = rescue ?? {};
  if (format !== FORMAT || typeof user !== "string" || typeof list !== "string")
    fail("rescue-format", "this is no rescue file of Tidemark; choose the one that was saved");
  if (version !== VERSION)
    fail("rescue-version", `this file is of version ${String(version)}; open it with a newer page`);
  if (!Array.isArray(operations) || !operations.every(isOperation))
    fail("rescue-format", "this rescue file is damaged; choose another copy of it");
  return rescue as Rescue;
}

/** What the engine would not pass over as damaged. */
function isOperation(value: unknown): boolean {
  const operation = value as Record<string, unknown> | null;
  return (
    typeof operation === "object" &&
    /^[A-Za-z0-9._~/-]{1,64}$/.test(String(operation?.["id"])) &&
    /^[A-Za-z0-9._~-]{1,64}$/.test(String(operation?.["browserId"])) &&
    Number.isSafeInteger(operation?.["version"]) &&
    !("seq" in operation!)
  );
}
