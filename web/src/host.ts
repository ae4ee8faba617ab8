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

/** One timer: set again, or (without arguments) not any more. */
export type Timer = (ms?: number, due?: () => void) => void;

export function makeTimer(clock: Clock): Timer {
  let stop = (): void => {};
  return (ms = 0, due) => {
    stop();
    if (due) stop = clock.after(ms, due);
  };
}

export const pause = (clock: Clock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve));

/**
 * What happens to the page:
 *
 * - `visible`, `hidden`, `online`, `offline`: as the browser says them.
 * - `leave`: the page may never run again (pagehide, freeze): what is to be saved, now.
 * - `return`: it does run again after all (from the back/forward cache, or thawed), or for
 *   the first time.
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

/** Listens where all events of a page come by, the document's too. Returns the way out. */
export function listen<E extends Event>(type: string, told: (event: E) => void): () => void {
  const page: Partial<EventTarget> = globalThis;
  page.addEventListener?.(type, told as EventListener, true);
  return () => page.removeEventListener?.(type, told as EventListener, true);
}

/** What the browser's events say; `visibilitychange` says either of two. */
const SAYS: { readonly [type: string]: PageEvent | undefined } = {
  visibilitychange: undefined,
  freeze: "leave",
  resume: "return",
  pagehide: "leave",
  pageshow: "return",
  online: "online",
  offline: "offline",
};

/** Where there is no window (a worker, Node) the page is always visible and online. */
export function browserPage(): Page {
  const visible = (): boolean => !globalThis.document?.hidden;
  let quiet = (): void => {};
  return {
    visible,
    online: () => globalThis.navigator?.onLine !== false,
    listen(told) {
      const out = Object.keys(SAYS).map((type) =>
        listen(type, () => told(SAYS[type] ?? (visible() ? "visible" : "hidden"))),
      );
      return () => out.forEach((leave) => leave());
    },
    // Only while there is something to lose: a listener that stays keeps pages out of the
    // back/forward cache.
    warn(active) {
      quiet();
      if (active) quiet = listen("beforeunload", (event) => event.preventDefault());
    },
  };
}
