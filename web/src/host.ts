/** host.ts - the clock and the page around the list, as small objects with browser defaults. */

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
  mono: () => Math.floor(performance.now()),
  after(ms, due) {
    const timer = setTimeout(due, Math.min(Math.max(0, Math.ceil(ms)), TIMER_MAX));
    return () => clearTimeout(timer);
  },
};

/**
 * - `visible`, `hidden`, `online`, `offline`: as the browser says them.
 * - `leave`: the page may never run again (pagehide, freeze): what is to be saved, now.
 * - `return`: it does run again after all (from the back/forward cache, or thawed).
 */
export type PageEvent = "visible" | "hidden" | "online" | "offline" | "leave" | "return";

export interface Page {
  visible(): boolean;
  /** False only if there is surely no network. */
  online(): boolean;
  listen(told: (event: PageEvent) => void): () => void;
  /** Ask the user before the page is closed, from now on or no more. */
  warn(active: boolean): void;
}

/** Where there is no window (a worker, Node) the page is always visible and online. */
export function browserPage(): Page {
  const view = globalThis.window as Window | undefined;
  const document = globalThis.document as Document | undefined;
  const scope =
    "addEventListener" in globalThis ? (globalThis as unknown as EventTarget) : undefined;
  const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
  return {
    visible: () => document?.visibilityState !== "hidden",
    online: () => globalThis.navigator?.onLine !== false,
    listen(told) {
      const ways: (() => void)[] = [];
      const on = (
        target: EventTarget | undefined,
        type: string,
        then: (event: Event) => void,
      ): void => {
        target?.addEventListener(type, then);
        ways.push(() => target?.removeEventListener(type, then));
      };
      on(document, "visibilitychange", () =>
        told(document?.visibilityState === "hidden" ? "hidden" : "visible"),
      );
      on(document, "freeze", () => told("leave"));
      on(document, "resume", () => told("return"));
      on(view, "pagehide", () => told("leave"));
      on(view, "pageshow", (event) => (event as PageTransitionEvent).persisted && told("return"));
      on(scope, "online", () => told("online"));
      on(scope, "offline", () => told("offline"));
      return () => ways.forEach((out) => out());
    },
    // Only while there is something to lose: a listener that stays keeps pages out of the
    // back/forward cache.
    warn(active) {
      if (active) view?.addEventListener("beforeunload", ask);
      else view?.removeEventListener("beforeunload", ask);
    },
  };
}
