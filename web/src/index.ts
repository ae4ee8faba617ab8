/** index.ts - `tidemark`: one list, the same in every browser. README.md begins here. */
export { openList } from "./list.js";
export { bindDraft, Draft, type DraftOptions, type DraftState } from "./drafts.js";
export type {
  Connection,
  Data,
  DeadLetter,
  Direction,
  Id,
  Item,
  List,
  OpenSocket,
  Options,
  Problem,
  Readable,
  Receipt,
  Status,
  Superseded,
  Token,
  Written,
} from "./types.js";
export type { Clock, Page, PageEvent } from "./host.js";
export type { CoreSource, Transaction, Write } from "./core.js";
export { decide, type Committed, type DiskStore, type LocalStore } from "./storage.js";
export type { Held, Locks } from "./writers.js";
export type { Socket } from "./transport.js";
