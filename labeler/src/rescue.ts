/** rescue.ts - what the server does not have yet, as a file: saved here, opened in another browser. */
import { exportRescue, importRescue } from "tidemark/rescue";
import type { Photos } from "./begin.js";

/** Long after a download has begun. */
const KEPT_MS = 60_000;

/** Resolves to the number of changes in the file; with none there is no file. */
export async function saveRescue(list: Photos, user: string): Promise<number> {
  const text = await exportRescue(list);
  const { operations } = JSON.parse(text) as { operations: unknown[] };
  if (operations.length === 0) return 0;
  const link = document.createElement("a");
  const minute = new Date().toISOString().slice(0, 16).replace(":", "");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `tidemark-${user.replace(/[^\w.-]+/g, "-")}-${minute}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
  return operations.length;
}

/** Resolves to the number of changes that were new. Rejects with a sentence for people. */
export async function openRescue(list: Photos, file: File): Promise<number> {
  const { added } = await importRescue(list, await file.text());
  return added;
}
