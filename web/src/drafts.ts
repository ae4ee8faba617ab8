/**
 * drafts.ts - text being typed. It belongs to the page until it is written:
 *
 * - begun by the first input event, never overwritten while the field has the focus;
 * - written after a pause, on blur, and when the page is hidden or left (not in the middle
 *   of a composition: half a character is nobody's text);
 * - dropped if it says what the field showed at focus (or what was last written from it);
 * - without a draft, blur writes nothing; a field without focus shows the current value.
 *
 * `makeDraft` knows no document; `bindDraft` ties one to an <input> or <textarea>, and
 * react.ts to React's.
 */
import { browserClock, makeTimer, type Clock } from "./host.js";
import { makeHub, type Readable } from "./readable.js";
import type { Data, Id, List } from "./types.js";

/** How long a pause in typing writes what is there, unless `pauseMs` says otherwise. */
export const PAUSE_MS = 800;

/** All of them may be left out. */
export type DraftOptions = {
  /** How long a pause in typing writes what is there, in milliseconds; {@link PAUSE_MS}. */
  readonly pauseMs?: number;
  readonly clock?: Clock;
  /** This text found no place: its item was removed, or its field went away unwritable. */
  readonly gone?: (text: string) => void;
};

/** What a field shows. */
export type DraftState = {
  readonly text: string;
  /** Why the text cannot be written (too long, say); it stays a draft until it can. */
  readonly problem: string | undefined;
};

/** One text field of one item: tell it what happens to the field, and show its snapshot. */
export type Draft = Readable<DraftState> & {
  /** Follows the list from now on. Returns the way out, which writes a draft. */
  open(): () => void;
  /** The field has the focus now: what it shows is the user's. */
  focus(): void;
  /** An input event: this is what the field holds now. */
  input(text: string): void;
  /** An input method composes: nothing is written by a pause until it is done. */
  compositionStart(): void;
  /** The composition is whole. */
  compositionEnd(): void;
  /** The field lost the focus: a draft is written, and the current value shown. */
  blur(): void;
};

/** The draft of `field` of the item `id`, for bindings; pages use {@link bindDraft}. */
export function makeDraft<F extends string>(
  list: List<F>,
  id: Id,
  field: F,
  options: DraftOptions = {},
): Draft {
  const { pauseMs = PAUSE_MS, clock = browserClock, gone = () => {} } = options;
  const item = list.item(id);
  const current = (): string => item.snapshot()?.[field] ?? "";
  const hub = makeHub();
  let state: DraftState = { text: current(), problem: undefined };
  let focused = false;
  let composing = false;
  let from = ""; // what the field showed at focus, or what was written since
  let release: (() => void) | undefined; // there is a draft
  const pause = makeTimer(clock);
  let unwatch: (() => void) | undefined;

  function show(text: string, problem?: string): void {
    if (text === state.text && problem === state.problem) return;
    state = { text, problem };
    hub.tell("");
  }

  /** Shows the current value, unless the field is the user's. */
  function follow(): void {
    if (!focused && !release) show(current());
  }

  function wait(): void {
    pause(pauseMs, () => composing || write());
  }

  /** The draft, if there is one, becomes an operation. */
  function write(): void {
    pause();
    if (!release) return;
    const { text } = state;
    if (text !== from) {
      try {
        if (list.update(id, { [field]: text } as Data<F>) === "gone") gone(text);
      } catch (error) {
        // Kept as a draft, shown, and closing stays unsafe: dropping it would lose it.
        return show(text, (error as Error).message);
      }
      from = text;
    }
    end();
  }

  function end(): void {
    const held = release;
    release = undefined;
    held?.();
  }

  function snapshot(): DraftState {
    if (!unwatch) follow(); // nobody keeps it up to date
    return state;
  }

  function focus(): void {
    if (focused) return;
    if (!release) from = snapshot().text;
    focused = true;
  }

  return {
    ...hub.readable("", snapshot),
    open() {
      unwatch ??= item.subscribe(follow);
      follow();
      return () => {
        unwatch?.();
        unwatch = undefined;
        focused = false;
        write();
        if (release) gone(state.text); // nobody is left to mend it
        end();
      };
    },
    focus,
    input(text) {
      focus(); // some fields are filled without one: a script, a drop
      release ??= list.holdDraft(write);
      show(text);
      wait();
    },
    compositionStart() {
      composing = true;
    },
    compositionEnd() {
      composing = false;
      if (release) wait();
    },
    blur() {
      composing = focused = false;
      write();
      follow();
    },
  };
}

/**
 * Ties `field` of the item `id` to an <input> or <textarea>: shows the value, writes what is
 * typed, and says by the field's validity why a text cannot be written. Returns the way out,
 * which writes what was typed.
 */
export function bindDraft<F extends string>(
  list: List<F>,
  id: Id,
  field: F,
  input: HTMLInputElement | HTMLTextAreaElement,
  options?: DraftOptions,
): () => void {
  const draft = makeDraft(list, id, field, options);
  const show = (): void => {
    const { text, problem } = draft.snapshot();
    if (input.value !== text) input.value = text; // setting it moves the caret
    input.setCustomValidity(problem ?? "");
  };
  const listeners = {
    focus: draft.focus,
    blur: draft.blur,
    input: () => draft.input(input.value),
    compositionstart: draft.compositionStart,
    compositionend: draft.compositionEnd,
  };
  const out = [draft.subscribe(show), draft.open()];
  for (const [type, listener] of Object.entries(listeners)) {
    input.addEventListener(type, listener);
    out.push(() => input.removeEventListener(type, listener));
  }
  show();
  if (input.ownerDocument.activeElement === input) draft.focus();
  return () => out.reverse().forEach((leave) => leave());
}
