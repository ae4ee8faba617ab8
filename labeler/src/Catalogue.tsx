/** Catalogue.tsx - the photos to choose from. */
import type { Photos } from "./begin.js";
import type { Photo } from "./catalogue.js";

type Props = { list: Photos; photos: readonly Photo[]; missing: string | undefined };

export function Catalogue({ list, photos, missing }: Props) {
  return (
    <section aria-labelledby="catalogue" data-testid="catalogue">
      <h2 id="catalogue">Photos</h2>
      {missing && <p role="alert">The catalogue cannot be read: {missing}</p>}
      <ul className="photos">
        {photos.map(({ imageId, name, src }) => (
          <li key={imageId}>
            <button
              type="button"
              data-testid="photo"
              data-image-id={imageId}
              title={`Add ${name}`}
              onClick={() => list.add(imageId)}
            >
              <img src={src} alt="" loading="lazy" width="120" height="90" />
              <span>{name}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
