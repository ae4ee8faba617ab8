/**
 * catalogue.ts - the photos there are: the server's directory, or else the sample set. What
 * was said last is remembered, so that the page can show it without a network.
 */

export type Photo = {
  readonly imageId: string;
  /** As the directory has it: "trip/one.jpg". */
  readonly name: string;
  readonly src: string;
  readonly bytes?: number | undefined;
};

export type Catalogue =
  | { readonly state: "loading" }
  | { readonly state: "failed"; readonly problem: string }
  | { readonly state: "ready"; readonly photos: readonly Photo[] };

/** What both lists of photos look like. */
type Said = {
  readonly photos: readonly {
    readonly imageId: string;
    readonly name?: string;
    readonly file?: string;
    readonly bytes?: number;
  }[];
};

const REMEMBERED = "catalogue";

async function ask(url: string): Promise<Said["photos"]> {
  const store = await globalThis.caches?.open(REMEMBERED).catch(() => undefined);
  const answer = await fetch(url).then(
    (fresh) => {
      if (!fresh.ok) throw new Error(`The server answered with an error (${fresh.status}).`);
      void store?.put(url, fresh.clone()).catch(() => undefined);
      return fresh;
    },
    async () => {
      const known = await store?.match(url);
      if (known) return known;
      throw new Error("The server cannot be reached.");
    },
  );
  const { photos } = (await answer.json()) as Said;
  if (!Array.isArray(photos)) throw new Error("The server's answer holds no photos.");
  return photos;
}

export async function loadCatalogue(): Promise<readonly Photo[]> {
  const photos = await ask("/v1/photos");
  if (photos.length > 0)
    return photos.map(({ imageId, name = imageId, bytes }) => ({
      imageId,
      name,
      bytes,
      src: `/v1/photos/${encodeURIComponent(imageId)}`,
    }));
  const samples = await ask("/photos/photos.json"); // a server without a directory of photos
  return samples.map(({ imageId, name = imageId, file = imageId }) => ({
    imageId,
    name,
    src: `/photos/${file}`,
  }));
}

/** What a person calls it: without the directories, and without ".jpg". */
export const titleOf = (name: string): string =>
  name.slice(name.lastIndexOf("/") + 1).replace(/(.)\.(jpe?g|png|webp|gif)$/i, "$1");

/** For finding: letters alone, whatever their accents and their case. */
export const plain = (text: string): string =>
  text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
