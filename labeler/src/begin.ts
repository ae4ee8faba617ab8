/**
 * begin.ts - whose list is it? The server knows: every answer names its user. Without a
 * network it is whoever it was last time, so that the page opens from what is stored.
 */
import { openList, type List } from "tidemark";
import { readable } from "./readable.js";

export const fields = ["photoNumber", "description"] as const;
export type Field = (typeof fields)[number];
export type Photos = List<Field>;

const LIST = "selected-images";
const USER = "labeler/user";

export type Opening =
  | { readonly state: "asking" }
  | { readonly state: "open"; readonly user: string; readonly list: Photos }
  | { readonly state: "failed"; readonly problem: string };

export type Begun = ReturnType<typeof begin>;

export function begin() {
  const opening = readable<Opening>({ state: "asking" });
  void run(opening.put);
  return opening;
}

async function run(put: (opening: Opening) => void): Promise<void> {
  let list: Photos | undefined;
  let user = remembered();
  const open = async (whose: string): Promise<void> => {
    await list?.close();
    list = await openList({ url: "", user: whose, list: LIST, fields, warnBeforeClose: true });
    list.onProblem(({ kind, detail }) => console.warn(`tidemark: ${kind}: ${detail}`));
    put({ state: "open", user: whose, list });
  };
  try {
    if (user !== undefined) await open(user);
    const told = await askServer(user === undefined);
    if (told === undefined || told === user) return;
    user = told;
    remember(told);
    await open(told);
  } catch (error) {
    put({ state: "failed", problem: error instanceof Error ? error.message : String(error) });
  }
}

/** The user's name; undefined if there is no answer and none is waited for. */
async function askServer(wait: boolean): Promise<string | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await fetch(`/v1/lists/${LIST}/operations?since=0`, { cache: "no-store" });
      const { user } = (await answer.json()) as { user?: unknown };
      if (answer.ok && typeof user === "string") return user;
    } catch {
      // no network, or not our server: ask again
    }
    if (!wait) return undefined;
    await new Promise((resolve) => setTimeout(resolve, Math.min(30_000, 1000 * 2 ** tries)));
  }
}

function remembered(): string | undefined {
  try {
    return localStorage.getItem(USER) ?? undefined;
  } catch {
    return undefined; // private: then the server is asked every time
  }
}

function remember(user: string): void {
  try {
    localStorage.setItem(USER, user);
  } catch {
    // as above
  }
}
