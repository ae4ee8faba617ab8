/** rescue.ts - what the server does not have yet, as a file: saved here, opened in another browser. */
import type { Photos } from "./begin.js";

const none = async (): Promise<number> => {
  throw new Error("This build of the page knows no rescue files yet.");
};
export const saveRescue: (list: Photos, user: string) => Promise<number> = none;
export const openRescue: (list: Photos, file: File) => Promise<number> = none;
