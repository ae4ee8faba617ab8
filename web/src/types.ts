/** types.ts - the words of the package: what an application reads, writes and is told. */
import type { CoreSource, Receipt, Written as EngineWritten } from "./core.js";
import type { Clock, Page } from "./host.js";
import type { Readable } from "./readable.js";
import type { DiskStore, LocalStore } from "./storage.js";
import type { Connection, OpenSocket, Token } from "./transport.js";
import type { Locks } from "./writers.js";

export type { Connection, OpenSocket, Readable, Receipt, Token };

export type Id = string;
export type Direction = "asc" | "desc";

/** `F` names the fields an application uses; all of them may be absent. */
export type Item<F extends string> = { readonly id: Id; readonly imageId: string } & {
  readonly [K in F]?: string;
};
export type Data<F extends string> = { readonly [K in F]?: string | null };

/**
 * - `ok`: kept; it will reach the server, whatever happens to this page.
 * - `volatile`: this browser's storage refuses; it is shown and sent, but warn the user
 *   before they leave.
 * - `gone`: the item was removed, here or elsewhere; nothing was written.
 */
export type Written = EngineWritten;

export type Status = {
  /** `live`: everything is here and what others do is shown as they do it. */
  readonly phase: "offline" | "syncing" | "live";
  readonly connection: Connection;
  /** Edits that the server has not accepted yet. */
  readonly pending: number;
  /** Edits that no storage of this browser has. */
  readonly volatile: number;
  readonly deadLetters: number;
  /** Texts that are being typed. */
  readonly drafts: number;
  /** How far the least advanced own edit of an item has come ("" = of the sort direction);
   * an item whose edits all arrived long ago has none. */
  readonly receipts: ReadonlyMap<Id, Receipt>;
  /** Nothing is lost if the page is closed now. */
  readonly safeToClose: boolean;
};

/** An edit that the server can never accept. */
export type DeadLetter<F extends string> = {
  /** For retry and discard. */
  readonly id: string;
  readonly type: "ADD" | "UPDATE_METADATA" | "DELETE" | "SORT_CHANGE";
  /** Why, as a stable word: "too-many-items", "refused-by-policy", ... */
  readonly code: string;
  /** The item it was for; absent for a sort direction. */
  readonly item?: Id;
  readonly imageId?: string;
  readonly data?: Data<F>;
  readonly sort?: Direction;
};

/** An own edit that was shown here and lost to somebody else's. */
export type Superseded<F extends string> =
  | {
      readonly kind: "field";
      readonly item: Id;
      readonly field: F;
      readonly mine: string | null;
      readonly winner: string | null;
    }
  | { readonly kind: "removed"; readonly item: Id }
  | { readonly kind: "sort"; readonly mine: Direction; readonly winner: Direction };

/** What a person who looks after the page should hear of. Nothing is lost by any of it. */
export type Problem = {
  readonly kind: "storage" | "connection" | "server" | "damage" | "diverged" | "core";
  /** What the server calls it ("user": the token is somebody else's); else the kind. */
  readonly code: string;
  readonly detail: string;
};

export interface List<F extends string> {
  /** Live items in display order. An item keeps its identity while it is unchanged. */
  readonly items: Readable<readonly Item<F>[]>;
  /** Their ids alone: unchanged by an edit of a field. */
  readonly ids: Readable<readonly Id[]>;
  readonly sort: Readable<Direction>;
  readonly status: Readable<Status>;
  readonly deadLetters: Readable<readonly DeadLetter<F>[]>;
  /** One item; tells only of changes to it. */
  item(id: Id): Readable<Item<F> | undefined>;
  /** How far the own edits of one item have come. */
  receipt(id: Id): Readable<Receipt | undefined>;

  /** Puts an image on the list. Inside a batch, `written` is the batch's to tell. */
  add(imageId: string, data?: Data<F>): { readonly id: Id; readonly written: Written };
  /** Fields left out stay as they are; `null` clears one. */
  update(id: Id, data: Data<F>): Written;
  /** For good: to bring an image back, add it again. */
  remove(id: Id): Written;
  setSort(direction: Direction): Written;
  /** All writes inside travel together, at most 100, and notify once. If it throws, none
   * happened. Batches nest; an inner one that throws falls alone. */
  batch(write: () => void): Written;

  /** Writes a dead letter once more, as a new edit. */
  retry(deadLetter: string): Written;
  discard(deadLetter: string): void;

  onSuperseded(listener: (superseded: Superseded<F>) => void): () => void;
  onProblem(listener: (problem: Problem) => void): () => void;

  /**
   * For bindings of text fields: there is text that is not written yet. `write` is called
   * when it must be (the page is hidden, or the list closes); until the returned function
   * is called, closing is not safe.
   */
  holdDraft(write: () => void): () => void;

  /** Resolves when the server holds every write made before the call, or has refused it
   * for good (a dead letter). */
  flush(): Promise<void>;
  /** Writes the drafts, stores, and lets go; snapshots can still be read. What was not
   * sent is, by the next page that opens this list. */
  close(): Promise<void>;
}

export type Options<F extends string> = {
  /** Where the server is: "https://photos.example", or "" for the page's own origin. */
  readonly url: string;
  /** Whose list it is; the server refuses requests if the token says otherwise. */
  readonly user: string;
  /** `[a-z0-9-]`, at most 64. */
  readonly list: string;
  readonly token?: Token;
  /** The fields' names; writing any other throws. */
  readonly fields?: readonly F[];
  /** The browser asks before the page is closed while that would lose something. */
  readonly warnBeforeClose?: boolean;
  readonly newId?: () => Id;
  /** Where core.wasm is; found beside the package by itself. */
  readonly core?: CoreSource;
  readonly storage?: {
    readonly local?: (scope: string) => LocalStore | undefined;
    readonly disk?: (scope: string) => Promise<DiskStore | undefined>;
    readonly locks?: (scope: string) => Locks;
    /** Asks the browser not to throw the storage away, once the user has written. */
    readonly persist?: () => Promise<unknown>;
  };
  /** null: no WebSocket. */
  readonly socket?: OpenSocket | null;
  readonly fetch?: typeof globalThis.fetch;
  readonly clock?: Clock;
  readonly page?: Page;
  readonly random?: (bytes: number) => Uint8Array;
};
