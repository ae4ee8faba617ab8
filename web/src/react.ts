/**
 * react.ts - `tidemark/react`: everything readable is one hook.
 *
 * @module tidemark/react
 */
import { useEffect, useMemo, useSyncExternalStore, type ChangeEvent } from "react";
import { makeDraft, type DraftOptions } from "./drafts.js";
import type { Receipt } from "./core.js";
import type { Readable } from "./readable.js";
import type { Id, Item, List } from "./types.js";

/** Anything readable: renders again when its snapshot is another one. */
export const useReadable = <T>(readable: Readable<T>): T =>
  useSyncExternalStore(readable.subscribe, readable.snapshot, readable.snapshot);

/** The items in display order; renders again when any of them has changed. */
export const useItems = <F extends string>(list: List<F>): readonly Item<F>[] =>
  useReadable(list.items);

/** Their ids alone: renders again when one comes, goes or moves, not when a field changes. */
export const useIds = <F extends string>(list: List<F>): readonly Id[] => useReadable(list.ids);

/** One item; renders again only when that one has changed. */
export const useItem = <F extends string>(list: List<F>, id: Id): Item<F> | undefined =>
  useReadable(useMemo(() => list.item(id), [list, id]));

/** How far the own edits of one item have come. */
export const useReceipt = <F extends string>(list: List<F>, id: Id): Receipt | undefined =>
  useReadable(useMemo(() => list.receipt(id), [list, id]));

/** What {@link useDraft} gives an <input> or <textarea>; to be spread whole. */
export type DraftProps = {
  readonly value: string;
  /** Begins the draft. */
  readonly onChange: (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => void;
  /** From here on the text is the user's. */
  readonly onFocus: () => void;
  /** Writes the draft. */
  readonly onBlur: () => void;
  /** Half a character is not written by a pause, ... */
  readonly onCompositionStart: () => void;
  /** ... a whole one is. */
  readonly onCompositionEnd: () => void;
  readonly "aria-invalid": true | undefined;
};

/**
 * A text field of one item: spread `props` into an <input> or <textarea>. `problem` says
 * why the text in it cannot be written. The options are read once.
 */
export function useDraft<F extends string>(
  list: List<F>,
  id: Id,
  field: F,
  options?: DraftOptions,
): { readonly props: DraftProps; readonly problem: string | undefined } {
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the options are read once
  const draft = useMemo(() => makeDraft(list, id, field, options), [list, id, field]);
  useEffect(draft.open, [draft]);
  const { text, problem } = useReadable(draft);
  return {
    props: {
      value: text,
      onChange: (event) => draft.input(event.target.value),
      onFocus: draft.focus,
      onBlur: draft.blur,
      onCompositionStart: draft.compositionStart,
      onCompositionEnd: draft.compositionEnd,
      "aria-invalid": problem === undefined ? undefined : true,
    },
    problem,
  };
}
