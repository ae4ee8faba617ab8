/** App.tsx - the page: what there is on the left, what was chosen on the right. */
import { useEffect, useMemo, useState } from "react";
import { useReadable } from "tidemark/react";
import type { Begun, Photos } from "./begin.js";
import { Catalogue } from "./Catalogue.js";
import { loadCatalogue, type Photo } from "./catalogue.js";
import { watchLosses } from "./losses.js";
import { DeadLetters, LossList } from "./Notices.js";
import { Selected } from "./Selected.js";
import { StatusLine } from "./StatusLine.js";

export function App({ opening }: { opening: Begun }) {
  const opened = useReadable(opening);
  if (opened.state === "open")
    return <Labeler key={opened.user} user={opened.user} list={opened.list} />;
  return (
    <p className="opening" role="status" data-testid="opening">
      {opened.state === "asking"
        ? "Looking for the server…"
        : `The list does not open: ${opened.problem}`}
    </p>
  );
}

function Labeler({ user, list }: { user: string; list: Photos }) {
  const [photos, setPhotos] = useState<readonly Photo[]>([]);
  const [missing, setMissing] = useState<string>();
  const losses = useMemo(() => watchLosses(list), [list]);
  const sources = useMemo(() => new Map(photos.map((photo) => [photo.imageId, photo])), [photos]);
  useEffect(() => {
    loadCatalogue().then(setPhotos, (error: unknown) => setMissing(String(error)));
  }, []);
  return (
    <>
      <header>
        <h1>Photo labeler</h1>
        <p className="user" data-testid="user">
          {user}
        </p>
        <StatusLine list={list} />
      </header>
      <DeadLetters list={list} />
      <LossList losses={losses} />
      <main>
        <Catalogue list={list} photos={photos} missing={missing} />
        <Selected list={list} photos={sources} losses={losses} />
      </main>
    </>
  );
}
