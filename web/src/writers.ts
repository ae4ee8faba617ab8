/**
 * writers.ts - whose a browserId is. Each belongs to one page at a time: the page that
 * holds its lock. Web Locks where there are any (they go with the page, at once); where
 * not (a page served without TLS), a lease in localStorage that its holder renews.
 */
import { makeTimer, pause, type Clock } from "./host.js";
import type { LocalStore } from "./storage.js";

/** A lock that this page has. */
export interface Held {
  /** Still ours? A lease can be lost: a page that slept did not renew it. */
  held(): boolean;
  /** Somebody else's from now on. */
  release(): void;
}

/** Who may use a writer: one page at a time has its name's lock. */
export interface Locks {
  /** At once: ours, or undefined when another page has it. */
  take(name: string): Promise<Held | undefined>;
  /** Ours as soon as nobody has it; rejects when `signal` says to stop. */
  wait(name: string, signal: AbortSignal): Promise<Held>;
}

/** A held Web Lock is a promise that is not yet kept. */
function webLocks(manager: LockManager, scope: string): Locks {
  const ask = (name: string, options: LockOptions): Promise<Held | undefined> =>
    new Promise((resolve, reject) => {
      manager
        .request(`tidemark/${scope}/${name}`, options, (lock) => {
          if (!lock) return resolve(undefined);
          return new Promise<void>((release) => resolve({ held: () => true, release }));
        })
        .catch(reject);
    });
  return {
    take: (name) => ask(name, { ifAvailable: true }),
    wait: async (name, signal) => (await ask(name, { signal }))!,
  };
}

const LEASE_MS = 30_000;
/** Three tries to renew before it ends; also how often a waiting page looks. */
const RENEW_MS = 10_000;
/** Two pages may write their lease at the same moment: the later one stands, after this. */
const SETTLE_MS = 60;
export const LEASES = "lease/";

/** A lease is `lease/<name>` = "<holder> <wall ms of its end>". */
export function leases(
  local: LocalStore | undefined,
  clock: Clock,
  random: (bytes: number) => string,
): Locks {
  // Without storage there is no way to tell another page; a writer that two of them use is
  // found out by the server (a fork) and loses nothing.
  const told: Pick<LocalStore, "set"> & { get(key: string): string | null | undefined } =
    local ?? new Map<string, string>();
  const self = random(12);
  const read = (name: string): string => {
    const [holder = "", until = ""] = (told.get(LEASES + name) ?? "").split(" ");
    const left = Number(until) - clock.wall();
    return left > 0 && left <= LEASE_MS ? holder : ""; // farther away than we lease: a jumped clock
  };
  const write = (name: string): void => {
    try {
      told.set(LEASES + name, `${self} ${clock.wall() + LEASE_MS}`);
    } catch {
      // a full storage: the lease runs out, and whoever takes over finds all that is stored
    }
  };

  async function take(name: string): Promise<Held | undefined> {
    const other = read(name);
    if (other && other !== self) return undefined;
    write(name);
    await pause(clock, SETTLE_MS);
    if (read(name) !== self) return undefined;
    const timer = makeTimer(clock);
    const held = (): boolean => {
      const holder = read(name);
      if (!holder) write(name); // ran out, and nobody took it
      return !holder || holder === self;
    };
    const renew = (): void => {
      if (!held()) return;
      write(name);
      timer(RENEW_MS, renew);
    };
    renew();
    return {
      held,
      release() {
        timer();
        if (read(name) === self) local?.remove(LEASES + name);
      },
    };
  }

  return {
    take,
    async wait(name, signal) {
      for (;;) {
        const held = await take(name);
        if (held) return held;
        await pause(clock, RENEW_MS);
        signal.throwIfAborted();
      }
    },
  };
}

/** The best there is. */
export function browserLocks(
  scope: string,
  local: LocalStore | undefined,
  clock: Clock,
  random: (bytes: number) => string,
): Locks {
  const manager = globalThis.navigator?.locks as LockManager | undefined;
  return manager ? webLocks(manager, scope) : leases(local, clock, random);
}
