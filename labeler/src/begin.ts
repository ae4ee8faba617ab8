/**
 * begin.ts - whose list is it? The server knows: every answer names its user. It is asked
 * once; from then on the name is remembered, so that the page opens from what is stored,
 * network or not. Should the server take us for somebody else one day, it says so.
 */
import { openList, type List } from "tidemark";
import { readable } from "./readable.js";
import { forgetUser, rememberUser, rememberedUser } from "./user.js";

export const fields = ["photoNumber", "description"] as const;
export type Field = (typeof fields)[number];
export type Photos = List<Field>;

const LIST = "selected-images";

export type Opening =
  /** `waiting`: it was asked, and did not answer. */
  | { readonly state: "asking"; readonly waiting?: boolean }
  | { readonly state: "open"; readonly user: string; readonly list: Photos }
  | { readonly state: "failed"; readonly problem: string };

export type Begun = ReturnType<typeof begin>;

export function begin() {
  const opening = readable<Opening>({ state: "asking" });
  void run(opening.put);
  return opening;
}

async function run(put: (opening: Opening) => void): Promise<void> {
  try {
    await open((await rememberedUser()) ?? (await askServer(put)), put);
  } catch (error) {
    put({ state: "failed", problem: error instanceof Error ? error.message : String(error) });
  }
}

async function open(user: string, put: (opening: Opening) => void): Promise<void> {
  const list = await openList({ url: "", user, list: LIST, fields, warnBeforeClose: true });
  list.onProblem(({ code, kind, detail }) => {
    console.warn(`tidemark: ${kind}: ${detail}`);
    if (code === "user") void somebodyElse(list, put);
  });
  await rememberUser(user); // before anything can be written that needs it
  put({ state: "open", user, list });
}

/** What was queued stays in this browser, under the name it was made by. */
async function somebodyElse(list: Photos, put: (opening: Opening) => void): Promise<void> {
  await forgetUser();
  put({ state: "asking" });
  await list.close();
  await run(put);
}

/** The user's name, as soon as the server says it. */
async function askServer(put: (opening: Opening) => void): Promise<string> {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await fetch(`/v1/lists/${LIST}/operations?since=0`, { cache: "no-store" });
      const { user } = (await answer.json()) as { user?: unknown };
      if (answer.ok && typeof user === "string") return user;
    } catch {
      // no network, or not our server: ask again
    }
    put({ state: "asking", waiting: true });
    await new Promise((resolve) => setTimeout(resolve, Math.min(30_000, 1000 * 2 ** tries)));
  }
}
