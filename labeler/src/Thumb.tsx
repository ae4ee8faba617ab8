/** Thumb.tsx - a photo's small picture, or what stands for it meanwhile. */
import { memo } from "react";
import { useReadable } from "tidemark/react";
import type { Photo } from "./catalogue.js";
import { Icon } from "./icons.js";
import { thumbs } from "./thumbs.js";

export const Thumb = memo(function Thumb({ photo }: { photo: Photo }) {
  const thumb = useReadable(thumbs.of(photo));
  if (thumb.state === "ready")
    return (
      <span className="thumb" data-thumb="ready">
        <img src={thumb.url} alt="" width="320" height="240" draggable={false} />
      </span>
    );
  return <NoThumb state={thumb.state} />;
});

const says = {
  waiting: "",
  broken: "This picture cannot be shown",
  away: "The picture comes when the server is back",
  gone: "This photo is no longer in the directory",
};

export const NoThumb = ({ state }: { state: keyof typeof says }) => (
  <span className="thumb" data-thumb={state} title={says[state] || undefined}>
    {state !== "waiting" && <Icon name="picture" />}
  </span>
);
