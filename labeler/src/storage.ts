/** storage.ts - what this browser's storage is good for, in a sentence. */
import type { Status } from "tidemark";

/** undefined: as it should be. */
export function weakStorage({ local, disk }: Status["storage"]): string | undefined {
  if (local === "ok" && disk === "ok") return undefined;
  if (disk === "ok")
    return "This browser refuses one of its two storages (localStorage): a change is safe a moment after it was made, not at once.";
  if (local === "ok")
    return "This browser refuses one of its two storages (IndexedDB): changes outlive this page, but perhaps not a crash of the browser, until the server has them.";
  return "This browser stores nothing: until the server has a change, it is only in this open page.";
}
