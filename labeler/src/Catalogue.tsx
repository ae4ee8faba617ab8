/** Catalogue.tsx - the photos to choose from: found by name, added by click, drag or key. */
import { memo, useDeferredValue, useMemo, useRef, useState } from "react";
import type { KeyboardEvent } from "react";
import { flushSync } from "react-dom";
import { useReadable } from "tidemark/react";
import { plain, titleOf, type Catalogue as Known, type Photo } from "./catalogue.js";
import type { Chosen } from "./chosen.js";
import { Icon } from "./icons.js";
import { rem, showLine, useSpan, useWidth } from "./span.js";
import { Thumb } from "./Thumb.js";

export const DRAGGED = "application/x-tidemark-photo";

const TILE_REM = 9; // as narrow as a tile gets
const GAP_REM = 0.75;
const NAME_REM = 2;

type Props = { known: Known; chosen: Chosen; add: (photo: Photo) => void; again: () => void };

export function Catalogue({ known, chosen, add, again }: Props) {
  const [wanted, setWanted] = useState("");
  const sought = useDeferredValue(plain(wanted.trim()));
  const photos = known.state === "ready" ? known.photos : [];
  const names = useMemo(() => photos.map(({ name }) => plain(name)), [photos]);
  const found = useMemo(
    () => (sought ? photos.filter((_, i) => names[i]!.includes(sought)) : photos),
    [photos, names, sought],
  );
  const count = sought ? `${found.length} of ${photos.length}` : `${photos.length || ""}`;
  return (
    <section className="pane photos" aria-labelledby="catalogue" data-testid="catalogue">
      <div className="head">
        <h2 id="catalogue">Photos</h2>
        <span className="count" data-testid="photo-count">
          {count}
        </span>
        <label className="find">
          <Icon name="find" />
          <span className="sr">Find a photo by its name</span>
          <input
            type="search"
            placeholder="Find by name"
            autoComplete="off"
            data-testid="find"
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "ArrowDown")
                document.querySelector<HTMLElement>(".tile[tabindex='0']")?.focus();
              else if (event.key !== "Escape" || wanted === "") return;
              setWanted(event.key === "Escape" ? "" : wanted);
              event.preventDefault();
            }}
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
      </div>
      {known.state === "failed" ? (
        <div className="blank" role="alert" data-testid="catalogue-failed">
          <Icon name="away" />
          <p>
            <b>The photos cannot be listed</b>
            <br />
            {known.problem} What you selected is not affected.
          </p>
          <button type="button" data-testid="catalogue-again" onClick={again}>
            Try again
          </button>
        </div>
      ) : sought && found.length === 0 ? (
        <div className="blank" role="status" data-testid="nothing-found">
          <Icon name="find" />
          <p>
            <b>No photo is called “{wanted.trim()}”</b>
          </p>
          <button type="button" onClick={() => setWanted("")}>
            Show all {photos.length}
          </button>
        </div>
      ) : (
        <Tiles
          key={sought}
          photos={found}
          chosen={chosen}
          add={add}
          loading={known.state === "loading"}
        />
      )}
    </section>
  );
}

type TilesProps = {
  photos: readonly Photo[];
  chosen: Chosen;
  add: (photo: Photo) => void;
  loading: boolean;
};

function Tiles({ photos, chosen, add, loading }: TilesProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const width = useWidth(scroller);
  const [unit] = useState(rem);
  const gap = GAP_REM * unit;
  const columns = Math.max(2, Math.floor((width + gap) / (TILE_REM * unit + gap)));
  const tile = Math.max(0, Math.floor((width + gap) / columns - gap));
  const picture = Math.round(tile * 0.75);
  const line = picture + (NAME_REM + GAP_REM) * unit;
  const { first, last } = useSpan(scroller, line);
  const [active, setActive] = useState(0);
  const at = Math.min(active, photos.length - 1);
  const shown = photos
    .slice(first * columns, last * columns)
    .map((photo, i) => ({ photo, i: i + first * columns }));
  const kept = photos[at];
  if (kept && (at < first * columns || at >= last * columns)) shown.push({ photo: kept, i: at });

  const move = (to: number): void => {
    const next = Math.min(Math.max(to, 0), photos.length - 1);
    showLine(scroller.current!, Math.floor(next / columns), line);
    flushSync(() => setActive(next));
    scroller
      .current!.querySelector<HTMLElement>(".tile[tabindex='0']")
      ?.focus({ preventScroll: true });
  };
  const page = (): number =>
    columns * Math.max(1, Math.floor(scroller.current!.clientHeight / line));
  const steps: { readonly [key: string]: () => number } = {
    ArrowRight: () => at + 1,
    ArrowLeft: () => at - 1,
    ArrowDown: () => (at + columns < photos.length ? at + columns : at),
    ArrowUp: () => (at >= columns ? at - columns : at),
    PageDown: () => at + page(),
    PageUp: () => at - page(),
    Home: () => 0,
    End: () => photos.length - 1,
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.ctrlKey || event.altKey || event.metaKey ? undefined : steps[event.key];
    if (!step) return;
    event.preventDefault();
    move(step());
  };
  const lines = loading ? 40 : Math.ceil(photos.length / columns);
  const size = {
    "--tile": `${tile}px`,
    "--picture": `${picture}px`,
    "--pitch": `${line}px`,
    height: lines * line - gap,
  };
  return (
    <div className="scroll" ref={scroller} aria-busy={loading} data-testid="photo-scroll">
      {loading && (
        <p className="sr" role="status">
          The photos are being listed…
        </p>
      )}
      <ul className="tiles" style={size} aria-label="Photos" onKeyDown={onKeyDown}>
        {width > 0 &&
          shown.map(({ photo, i }) => (
            <li
              key={photo.imageId}
              aria-setsize={photos.length}
              aria-posinset={i + 1}
              style={{
                transform: `translate(${(i % columns) * (tile + gap)}px, ${Math.floor(i / columns) * line}px)`,
              }}
            >
              <Tile
                photo={photo}
                chosen={chosen}
                add={add}
                index={i}
                active={i === at}
                choose={setActive}
              />
            </li>
          ))}
      </ul>
    </div>
  );
}

type TileProps = {
  photo: Photo;
  chosen: Chosen;
  add: (photo: Photo) => void;
  index: number;
  active: boolean;
  choose: (index: number) => void;
};

const Tile = memo(function Tile({ photo, chosen, add, index, active, choose }: TileProps) {
  const times = useReadable(chosen.of(photo.imageId));
  const title = titleOf(photo.name);
  return (
    <button
      type="button"
      className="tile"
      tabIndex={active ? 0 : -1}
      draggable
      data-testid="photo"
      data-image-id={photo.imageId}
      title={photo.name}
      aria-label={`Add ${title}${times > 0 ? ` (on the list${times > 1 ? ` ${times} times` : ""})` : ""}`}
      onFocus={() => choose(index)}
      onClick={() => add(photo)}
      onDragStart={(event) => {
        event.dataTransfer.setData(DRAGGED, photo.imageId);
        event.dataTransfer.effectAllowed = "copy";
      }}
    >
      <Thumb photo={photo} />
      <span className="badge" data-times={times}>
        <Icon name={times > 0 ? "check" : "plus"} />
        {times > 1 && times}
      </span>
      <bdi className="name">{title}</bdi>
    </button>
  );
});
