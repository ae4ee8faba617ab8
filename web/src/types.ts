/** types.ts - the words of the package: what an application reads, writes and is told. */
import type { Connection, CoreSource, Receipt, Written } from "./core.js";
import type { Clock, Page } from "./host.js";
import type { Readable } from "./readable.js";
import type { DiskStore, LocalStore } from "./storage.js";
import type { OpenSocket, Token } from "./transport.js";
import type { Locks } from "./writers.js";

/** An item's name: 1 to 128 bytes, given by {@link List.add}, never used again. */
export type Id = string;
/** Of the display order: `asc` = added first, shown first. */
export type Direction = "asc" | "desc";

/**
 * A live item, frozen. `F` names the fields an application uses; a field that was never
 * written, or was cleared, is absent. The empty string is a value.
 */
export type Item<F extends string> = { readonly id: Id; readonly imageId: string } & {
  readonly [K in F]?: string;
};
/**
 * What to write: a text of at most 4096 bytes of UTF-8, or null to clear the field. Fields
 * left out stay as they are. At most 16 fields an item.
 */
export type Data<F extends string> = { readonly [K in F]?: string | null };

/** Whether a place of this browser takes what is written; `none`: there is no such place. */
export type StorageState = "ok" | "refuses" | "none";

/** How things stand; the same object until something in it changes. */
export type Status = {
  /**
   * - `offline`: what is shown is what was stored and edited here.
   * - `syncing`: the server answers, and not all of it is here yet.
   * - `live`: everything is here, and what others do is shown as they do it.
   * - `stopped`: the engine stopped on a mistake of its own. What is stored is safe; every
   *   write throws until the page is loaded again.
   */
  readonly phase: "offline" | "syncing" | "live" | "stopped";
  readonly connection: Connection;
  /** Edits that the server has not accepted yet. */
  readonly pending: number;
  /** Edits that no storage of this browser has. */
  readonly volatile: number;
  /** Edits that the server refused for good: `list.deadLetters` has them. */
  readonly deadLetters: number;
  /** Texts that are being typed, and are no edits yet. */
  readonly drafts: number;
  /**
   * How far the least advanced own edit of an item has come ("" = of the sort direction);
   * an item whose edits all arrived more than a minute ago has none.
   */
  readonly receipts: ReadonlyMap<Id, Receipt>;
  /** localStorage and IndexedDB, or what `storage` of {@link Options} put in their places. */
  readonly storage: { readonly local: StorageState; readonly disk: StorageState };
  /** Nothing is lost if the page is closed now. */
  readonly safeToClose: boolean;
};

/** An edit that the server can never accept. */
export type DeadLetter<F extends string> = {
  /** For `list.retry` and `list.discard`. */
  readonly id: string;
  readonly type: "ADD" | "UPDATE_METADATA" | "DELETE" | "SORT_CHANGE";
  /** Why, as a stable word: "too-many-items", "refused-by-policy", ... */
  readonly code: string;
  /** The item it was for; absent for a sort direction. */
  readonly item?: Id | undefined;
  readonly imageId?: string | undefined;
  readonly data?: Data<F> | undefined;
  readonly sort?: Direction | undefined;
};

/**
 * An own edit that was shown here and lost to somebody else's: a value of a field, the item
 * itself (`removed`), or the sort direction. To have it back, write `mine` again.
 */
export type Superseded<F extends string> =
  | {
      readonly kind: "field";
      readonly item: Id;
      readonly field: F;
      /** null: it was cleared. */
      readonly mine: string | null;
      readonly winner: string | null;
    }
  | { readonly kind: "removed"; readonly item: Id }
  | { readonly kind: "sort"; readonly mine: Direction; readonly winner: Direction };

/** What a person who looks after the page should hear of. Nothing is lost by any of it. */
export type Problem = {
  /** Where it comes from. */
  readonly kind: "storage" | "connection" | "server" | "damage" | "diverged" | "core";
  /** A stable word; the table in docs/PACKAGE.md has them, and what to do. */
  readonly code: string;
  /** A sentence. */
  readonly detail: string;
};

/** One list of one user, open in this page. {@link openList} makes it. */
export interface List<F extends string> {
  /** Live items in display order. An item keeps its identity while it is unchanged. */
  readonly items: Readable<readonly Item<F>[]>;
  /** Their ids alone: unchanged by an edit of a field. */
  readonly ids: Readable<readonly Id[]>;
  readonly sort: Readable<Direction>;
  readonly status: Readable<Status>;
  readonly deadLetters: Readable<readonly DeadLetter<F>[]>;
  /** One item; tells only of changes to it. undefined: it is not on the list. */
  item(id: Id): Readable<Item<F> | undefined>;
  /** How far the own edits of one item have come; tells only of changes to that. */
  receipt(id: Id): Readable<Receipt | undefined>;

  /**
   * Puts an image on the list. Inside a batch, `written` is the batch's to tell.
   *
   * @param imageId 1 to 128 bytes
   */
  add(imageId: string, data?: Data<F>): { readonly id: Id; readonly written: Written };
  /**
   * Writes at least one field of an item.
   *
   * Like every write it throws a {@link TidemarkError} for what could never be written, and
   * when the list is closed or stopped: docs/PACKAGE.md has the codes.
   */
  update(id: Id, data: Data<F>): Written;
  /** For good: to bring an image back, add it again. */
  remove(id: Id): Written;
  /** Turns the display order, for every browser; own edits of it protect it for 10 s. */
  setSort(direction: Direction): Written;
  /**
   * All writes inside travel together, at most 100, and notify once. If it throws, none
   * happened. Batches nest, up to 16 deep; an inner one that throws falls alone.
   */
  batch(write: () => void): Written;

  /** Writes a dead letter once more, as a new edit. */
  retry(deadLetter: string): Written;
  /** Forgets a dead letter. */
  discard(deadLetter: string): void;

  /** Own edits that lost; returns the way out. */
  onSuperseded(listener: (superseded: Superseded<F>) => void): () => void;
  /** What happened before anybody listened is told at once; returns the way out. */
  onProblem(listener: (problem: Problem) => void): () => void;

  /**
   * For bindings of text fields: there is text that is not written yet. `write` is called
   * when it must be (the page is hidden, or the list closes); until the returned function
   * is called, closing is not safe.
   */
  holdDraft(write: () => void): () => void;

  /**
   * Resolves when the server holds every write made before the call, or has refused it
   * for good (a dead letter). Rejects if the list is closed or stops before that.
   */
  flush(): Promise<void>;
  /**
   * Writes the drafts, stores, and lets go; snapshots can still be read. What was not
   * sent is, by the next page that opens this list.
   */
  close(): Promise<void>;
}

/** What {@link openList} is told; only `url`, `user` and `list` must be. */
export type Options<F extends string> = {
  /**
   * Where the server is: "https://photos.example", or "" for the page's own origin; without a
   * user, a query or a fragment.
   */
  readonly url: string;
  /** Whose list it is; the server refuses requests if the token says otherwise. */
  readonly user: string;
  /** 1 to 64 of `a-z`, `0-9` and `-`. */
  readonly list: string;
  /** Travels in a header or a WebSocket subprotocol, never in an address. */
  readonly token?: Token;
  /** The fields' names; writing any other throws. */
  readonly fields?: readonly F[];
  /** The browser asks before the page is closed while that would lose something. */
  readonly warnBeforeClose?: boolean;
  /** Makes an item's id; the default is 120 random bits. */
  readonly newId?: () => Id;
  /** Where core.wasm is; found beside the package by itself. */
  readonly core?: CoreSource;
  /** In place of the browser's; each is given a scope that is this list's alone. */
  readonly storage?: {
    /** undefined: there is none. */
    readonly local?: (scope: string) => LocalStore | undefined;
    /** undefined: there is none. */
    readonly disk?: (scope: string) => Promise<DiskStore | undefined>;
    /** Web Locks, or leases in `local` where there are none. */
    readonly locks?: (scope: string) => Locks;
    /** Asks the browser not to throw the storage away, once the user has written. */
    readonly persist?: () => Promise<unknown>;
  };
  /** null: no WebSocket. */
  readonly socket?: OpenSocket | null;
  readonly fetch?: typeof globalThis.fetch;
  readonly clock?: Clock;
  readonly page?: Page;
  /** So many bytes from a secure source. */
  readonly random?: (bytes: number) => Uint8Array;
};
