/** catalogue.ts - the photos there are: the server's directory, or else the drawn set. */

export type Photo = { readonly imageId: string; readonly name: string; readonly src: string };

/** What both lists of photos look like. */
type Said = {
  readonly photos: readonly {
    readonly imageId: string;
    readonly name?: string;
    readonly file?: string;
  }[];
};

async function ask(url: string): Promise<Said["photos"]> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const { photos } = (await answer.json()) as Said;
  if (!Array.isArray(photos)) throw new Error(`${url}: no photos in it`);
  return photos;
}

const ofServer = (imageId: string): string => `/v1/photos/${encodeURIComponent(imageId)}`;

export async function loadCatalogue(): Promise<Photo[]> {
  try {
    const photos = await ask("/v1/photos");
    if (photos.length > 0)
      return photos.map(({ imageId, name }) => ({
        imageId,
        name: name ?? imageId,
        src: ofServer(imageId),
      }));
  } catch {
    // a server without a directory of photos
  }
  const drawn = await ask("/photos/photos.json");
  return drawn.map(({ imageId, name, file }) => ({
    imageId,
    name: name ?? imageId,
    src: `/photos/${file ?? imageId}`,
  }));
}
