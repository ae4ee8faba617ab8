/**
 * thumbs.ts - small pictures made of large ones, in this browser: fetched, decoded and packed
 * when a row comes near view, a few at a time, the latest asked for first; let go when it is
 * far again. Those made are remembered in the Cache API, so that five thousand photos are
 * read from the server once, not at every load, and are there without a network.
 *
 * Edits come first: `yieldStorage` gives all of that back when the browser's storage is full.
 */
import type { Readable } from "tidemark";
import type { Photo } from "./catalogue.js";

export type Thumb =
  | { readonly state: "waiting" | "broken" | "away" }
  | { readonly state: "ready"; readonly url: string };

const WIDTH = 320;
const HEIGHT = 240;
const QUALITY = 0.82;
/** More at a time only compete for the two or three threads that decode. */
const AT_ONCE = 4;
/** Rows that fly past are gone by then, and cost nothing. */
const SETTLE_MS = 60;
/** Pictures kept in memory though no row shows them: some screenfuls. */
const SPARE_MAX = 240;
/** A file beyond it would take the memory of the whole page to decode. */
const BYTES_MAX = 128 * 1024 * 1024;
const STORED = "thumbnails";
/** In the Cache API: about 60 MB. */
const STORED_MAX = 5000;

const waiting: Thumb = { state: "waiting" };

class Entry implements Readable<Thumb> {
  thumb = waiting;
  readonly users = new Set<() => void>();
  stop: AbortController | undefined;
  readonly photo: Photo;
  readonly #thumbs: Thumbs;
  constructor(thumbs: Thumbs, photo: Photo) {
    this.#thumbs = thumbs;
    this.photo = photo;
  }
  readonly snapshot = (): Thumb => this.thumb;
  readonly subscribe = (changed: () => void): (() => void) => {
    this.users.add(changed);
    this.#thumbs.wanted(this);
    return () => {
      this.users.delete(changed);
      if (this.users.size === 0) this.#thumbs.unwanted(this);
    };
  };
  put(thumb: Thumb): void {
    this.thumb = thumb;
    this.users.forEach((changed) => changed());
  }
}

export class Thumbs {
  #entries = new Map<string, Entry>();
  #spare = new Set<Entry>(); // ready, shown nowhere; the oldest first
  #queue: Entry[] = [];
  #busy = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #store: Promise<Cache | undefined> | undefined;

  /** What is known of a photo's picture; made once somebody listens. */
  of(photo: Photo): Readable<Thumb> {
    let entry = this.#entries.get(photo.src);
    if (!entry) this.#entries.set(photo.src, (entry = new Entry(this, photo)));
    return entry;
  }

  wanted(entry: Entry): void {
    if (this.#spare.delete(entry) || entry.users.size > 1 || entry.thumb.state === "ready") return;
    this.#entries.set(entry.photo.src, entry);
    if (entry.thumb.state === "broken" || entry.stop) return;
    this.#queue.push(entry);
    this.#timer ??= setTimeout(() => this.#pump(), SETTLE_MS);
  }

  unwanted(entry: Entry): void {
    if (entry.thumb.state === "broken") return;
    if (entry.thumb.state === "ready") {
      this.#spare.add(entry);
      if (this.#spare.size > SPARE_MAX) this.#drop([...this.#spare][0]!);
      return;
    }
    entry.stop?.abort();
    entry.stop = undefined;
    this.#queue = this.#queue.filter((queued) => queued !== entry);
    if (this.#entries.get(entry.photo.src) === entry) this.#entries.delete(entry.photo.src);
  }

  /** The network is back: what could not be fetched is asked for again. */
  again(): void {
    for (const entry of this.#entries.values()) {
      if (entry.thumb.state !== "away" || entry.users.size === 0 || entry.stop) continue;
      entry.put(waiting);
      this.#queue.push(entry);
    }
    this.#pump();
  }

  /** The browser has no room left for edits: the pictures make room. */
  async yieldStorage(): Promise<void> {
    this.#store = Promise.resolve(undefined);
    await globalThis.caches?.delete(STORED).catch(() => false);
  }

  #drop(entry: Entry): void {
    this.#spare.delete(entry);
    if (entry.thumb.state === "ready") URL.revokeObjectURL(entry.thumb.url);
    entry.thumb = waiting;
    this.#entries.delete(entry.photo.src);
  }

  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#busy < AT_ONCE) {
      const entry = this.#queue.pop();
      if (!entry) return;
      this.#busy++;
      void this.#make(entry).finally(() => {
        this.#busy--;
        this.#pump();
      });
    }
  }

  async #make(entry: Entry): Promise<void> {
    const stop = (entry.stop = new AbortController());
    let made: Thumb;
    try {
      const blob = await this.#picture(entry.photo, stop.signal);
      made = blob ? { state: "ready", url: URL.createObjectURL(blob) } : { state: "broken" };
    } catch {
      made = { state: "away" };
    }
    if (!stop.signal.aborted) {
      entry.stop = undefined;
      entry.put(made);
    } else if (made.state === "ready") URL.revokeObjectURL(made.url);
  }

  /** undefined: this is no picture. Throws when it is not to be had now. */
  async #picture(photo: Photo, signal: AbortSignal): Promise<Blob | undefined> {
    if ((photo.bytes ?? 0) > BYTES_MAX) return undefined;
    const store = await (this.#store ??= openStore());
    // The length is part of the name: a file that was replaced gets a new picture.
    const key = `/thumbnails${photo.src}?${photo.bytes ?? ""}`;
    const known = await store?.match(key).catch(() => undefined);
    if (known) return known.blob();
    const answer = await fetch(photo.src, { signal });
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new Error(String(answer.status));
    const blob = await shrink(await answer.blob());
    if (blob) void store?.put(key, new Response(blob)).catch(() => undefined); // full: then not
    return blob;
  }
}

/** As large as a row shows it on a fine screen, its middle, as JPEG; undefined: undecodable. */
async function shrink(photo: Blob): Promise<Blob | undefined> {
  try {
    const whole = await createImageBitmap(photo);
    const scale = Math.max(WIDTH / whole.width, HEIGHT / whole.height);
    const [w, h] = [WIDTH / scale, HEIGHT / scale];
    const [x, y] = [(whole.width - w) / 2, (whole.height - h) / 2];
    const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
    const context = canvas.getContext("2d", { alpha: false })!;
    context.fillStyle = "#8a8d90"; // behind what is transparent
    context.fillRect(0, 0, WIDTH, HEIGHT);
    context.imageSmoothingQuality = "high";
    context.drawImage(whole, x, y, w, h, 0, 0, WIDTH, HEIGHT);
    whole.close();
    return await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  } catch {
    return undefined;
  }
}

async function openStore(): Promise<Cache | undefined> {
  try {
    const store = await caches.open(STORED);
    const keys = await store.keys();
    for (const key of keys.slice(0, Math.max(0, keys.length - STORED_MAX))) void store.delete(key);
    return store;
  } catch {
    return undefined; // a page without TLS, or storage that refuses
  }
}

export const thumbs = new Thumbs();
