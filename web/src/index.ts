/**
 * index.ts - `tidemark`: one list, the same in every browser. README.md begins here.
 *
 * @module tidemark
 */
export { openList } from "./list.js";
export {
  bindDraft,
  makeDraft,
  PAUSE_MS,
  type Draft,
  type DraftOptions,
  type DraftState,
} from "./drafts.js";
export type {
  Data,
  DeadLetter,
  Direction,
  Id,
  Item,
  List,
  Options,
  Problem,
  Status,
  StorageState,
  Superseded,
} from "./types.js";
export type { TidemarkError } from "./errors.js";
export type { Readable } from "./readable.js";
export type { Clock, Page, PageEvent } from "./host.js";
export type { Connection, CoreSource, Receipt, Transaction, Write, Written } from "./core.js";
export { decide, type Committed, type DiskStore, type LocalStore } from "./storage.js";
export type { Held, Locks } from "./writers.js";
export type { OpenSocket, Socket, Token } from "./transport.js";
