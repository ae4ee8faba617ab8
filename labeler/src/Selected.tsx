/** Selected.tsx - the list: only the rows near view are in the document. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { DragEvent, KeyboardEvent } from "react";
import { flushSync } from "react-dom";
import type { Id } from "tidemark";
import { useReadable } from "tidemark/react";
import type { Photos } from "./begin.js";
import { DRAGGED } from "./Catalogue.js";
import type { Photo } from "./catalogue.js";
import { Icon } from "./icons.js";
import type { Losses } from "./losses.js";
import { Row } from "./Row.js";
import { rem, showLine, useMedia, useSpan } from "./span.js";

const ROW_REM = 6;
const NARROW_ROW_REM = 8.25; // number and description stand one below the other
export const NARROW = "(max-width: 52rem)";

type Props = {
  list: Photos;
  photos: ReadonlyMap<string, Photo>;
  /** The photos are known: one that is not among them is gone. */
  known: boolean;
  losses: Losses;
  drop: (imageId: string) => void;
  remove: (id: Id) => void;
  /** The row to be shown: it was added just now. */
  fresh: Id | undefined;
};

export function Selected({ list, photos, known, losses, drop, remove, fresh }: Props) {
  const ids = useReadable(list.ids);
  const sort = useReadable(list.sort);
  const scroller = useRef<HTMLDivElement>(null);
  const narrow = useMedia(NARROW);
  const [unit] = useState(rem);
  const line = (narrow ? NARROW_ROW_REM : ROW_REM) * unit;
  const { first, last } = useSpan(scroller, line);
  const [held, setHeld] = useState<Id>(); // the row with the focus stays, wherever it is
  const over = useDropping(drop);

  const shown = ids.slice(first, last).map((id, i) => ({ id, at: first + i }));
  const heldAt = held === undefined ? -1 : ids.indexOf(held);
  if (heldAt >= 0 && (heldAt < first || heldAt >= last)) shown.push({ id: held!, at: heldAt });

  const focus = useCallback(
    (at: number, what: string): void => {
      const id = list.ids.snapshot()[at];
      if (id === undefined) return;
      showLine(scroller.current!, at, line);
      flushSync(() => setHeld(id));
      const row = scroller.current!.querySelector(`[data-id="${CSS.escape(id)}"]`);
      row?.querySelector<HTMLElement>(`[data-testid=${what}]`)?.focus({ preventScroll: true });
    },
    [list, line],
  );

  useEffect(() => {
    const at = fresh === undefined ? -1 : list.ids.snapshot().indexOf(fresh);
    if (at >= 0 && !scroller.current!.contains(document.activeElement))
      showLine(scroller.current!, at, line);
  }, [fresh, list, line]);

  /** Down the list with Enter, and up again with Shift. */
  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    const { target } = event;
    if (
      event.key !== "Enter" ||
      event.nativeEvent.isComposing ||
      !(target instanceof HTMLInputElement)
    )
      return;
    const at = ids.indexOf(target.closest<HTMLElement>("[data-id]")?.dataset["id"] ?? "");
    const to = at + (event.shiftKey ? -1 : 1);
    event.preventDefault();
    if (to < 0 || to >= ids.length) target.blur();
    else focus(to, target.dataset["testid"]!);
  };

  const removeRow = useCallback(
    (id: Id) => {
      const at = list.ids.snapshot().indexOf(id);
      remove(id);
      focus(Math.min(at, list.ids.snapshot().length - 1), "remove");
    },
    [list, remove, focus],
  );

  const size = { "--pitch": `${line}px`, height: ids.length * line };
  return (
    <section
      className="pane selected"
      aria-labelledby="selected"
      data-dropping={over.dropping}
      {...over.props}
    >
      <div className="head">
        <h2 id="selected">Selected</h2>
        <span className="count" data-testid="selected-count">
          {ids.length || ""}
        </span>
        <button
          type="button"
          className="plain sort"
          data-testid="sort"
          data-sort={sort}
          onClick={() => list.setSort(sort === "asc" ? "desc" : "asc")}
        >
          <Icon name={sort === "asc" ? "down" : "up"} />
          {sort === "asc" ? "Oldest first" : "Newest first"}
        </button>
      </div>
      <div className="scroll" ref={scroller} data-testid="row-scroll">
        {ids.length === 0 && (
          <div className="blank" data-testid="nothing-selected">
            <Icon name="picture" />
            <p>
              <b>Nothing is selected yet</b>
              <br />
              Click a photo to add it{narrow ? "." : ", or drag it here."}
            </p>
          </div>
        )}
        <ol
          className="rows"
          data-testid="rows"
          aria-labelledby="selected"
          style={size}
          onKeyDown={onKeyDown}
          onFocus={({ target }) => setHeld(target.closest<HTMLElement>("[data-id]")?.dataset["id"])}
          onBlur={() => setHeld(undefined)}
        >
          {shown.map(({ id, at }) => (
            <li
              key={id}
              data-testid="row"
              data-id={id}
              data-fresh={id === fresh || undefined}
              aria-setsize={ids.length}
              aria-posinset={at + 1}
              style={{ transform: `translateY(${at * line}px)` }}
            >
              <Row
                id={id}
                list={list}
                photos={photos}
                known={known}
                losses={losses}
                remove={removeRow}
              />
            </li>
          ))}
        </ol>
      </div>
      <p className="drop" aria-hidden="true">
        <Icon name="plus" /> Drop to add
      </p>
    </section>
  );
}

/** Photos of the catalogue, dragged here. */
function useDropping(drop: (imageId: string) => void) {
  const [dropping, setDropping] = useState(false);
  const ours = (event: DragEvent): boolean => event.dataTransfer.types.includes(DRAGGED);
  return {
    dropping,
    props: {
      onDragOver(event: DragEvent) {
        if (!ours(event)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "copy";
        setDropping(true);
      },
      onDragLeave(event: DragEvent<HTMLElement>) {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setDropping(false);
      },
      onDrop(event: DragEvent) {
        setDropping(false);
        if (!ours(event)) return;
        event.preventDefault();
        drop(event.dataTransfer.getData(DRAGGED));
      },
    },
  };
}
