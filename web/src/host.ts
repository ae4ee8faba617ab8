/** host.ts - the clock and the page around the list, as small objects with browser defaults. */

/** Time, for the engine and for timers. */
export interface Clock {
  /** Milliseconds since 1970; may jump. */
  wall(): number;
  /** Milliseconds since anything; never runs back. */
  mono(): number;
  /** Calls `due` once, later. Returns the way out. */
  after(ms: number, due: () => void): () => void;
}

/** What a timer can be asked for at most; a longer one would fire at once. */
const TIMER_MAX = 2 ** 31 - 1;

export const browserClock: Clock = {
  wall: () => Date.now(),
  mono: () => performance.now(),
  after(ms, due) {
    const timer = setTimeout(due, Math.min(Math.ceil(ms), TIMER_MAX));
    return () => clearTimeout(timer);
  },
};

/**
 * What happens to the page:
 *
 * - `visible`, `hidden`, `online`, `offline`: as the browser says them.
 * - `leave`: the page may never run again (pagehide, freeze): what is to be saved, now.
 * - `return`: it does run again after all (from the back/forward cache, or thawed).
 */
export type PageEvent = "visible" | "hidden" | "online" | "offline" | "leave" | "return";

/** The page around the list; the default is the browser's. */
export interface Page {
  /** False while nobody can see it. */
  visible(): boolean;
  /** False only if there is surely no network. */
  online(): boolean;
  /** Returns the way out. */
  listen(told: (event: PageEvent) => void): () => void;
  /** Ask the user before the page is closed, from now on or no more. */
  warn(active: boolean): void;
}

/** Where there is no window (a worker, Node) the page is always visible and online. */
export function browserPage(): Page {
  const view = globalThis.window as Window | undefined;
  const document = globalThis.document as Document | undefined;
  const visible = (): boolean => document?.visibilityState !== "hidden";
  const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
  return {
    visible,
    online: () => globalThis.navigator?.onLine !== false,
    listen(told) {
      const leave = new AbortController();
      const on = (from: EventTarget | undefined, type: string, say: (event: Event) => void): void =>
        from?.addEventListener(type, say, { signal: leave.signal });
      on(document, "visibilitychange", () => told(visible() ? "visible" : "hidden"));
      on(document, "freeze", () => told("leave"));
      on(document, "resume", () => told("return"));
      on(view, "pagehide", () => told("leave"));
      on(view, "pageshow", (event) => (event as PageTransitionEvent).persisted && told("return"));
      for (const word of ["online", "offline"] as const) on(view, word, () => told(word));
      return () => leave.abort();
    },
    // Only while there is something to lose: a listener that stays keeps pages out of the
    // back/forward cache.
    warn(active) {
      if (active) view?.addEventListener("beforeunload", ask);
      else view?.removeEventListener("beforeunload", ask);
    },
  };
}
