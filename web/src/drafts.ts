/**
 * drafts.ts - text being typed. It belongs to the page until it is written:
 *
 * - begun by the first input event, never overwritten while the field has the focus;
 * - written after a pause, on blur, and when the page is hidden or left (not in the middle
 *   of a composition: half a character is nobody's text);
 * - dropped if it says what the field showed at focus (or what was last written from it);
 * - without a draft, blur writes nothing; a field without focus shows the current value.
 *
 * `Draft` knows no document; `bindDraft` ties one to an <input> or <textarea>, and
 * react.ts to React's.
 */
import { browserClock, type Clock } from "./host.js";
import { Cell, type Readable } from "./readable.js";
import type { Data, Id, List } from "./types.js";

export const PAUSE_MS = 800;

export type DraftOptions = {
  /** How long a pause in typing writes what is there. */
  readonly pauseMs?: number;
  readonly clock?: Clock;
  /** This text found no place: its item was removed, or its field went away unwritable. */
  readonly gone?: (text: string) => void;
};

export type DraftState = {
  /** What the field shows. */
  readonly text: string;
  /** Why the text cannot be written (too long, say); it stays a draft until it can. */
  readonly problem: string | undefined;
};

export class Draft<F extends string> implements Readable<DraftState> {
  readonly #list: List<F>;
  readonly #id: Id;
  readonly #field: F;
  readonly #pauseMs: number;
  readonly #clock: Clock;
  readonly #gone: (text: string) => void;
  readonly #state: Cell<DraftState>;
  #focused = false;
  #composing = false;
  #from = ""; // what the field showed at focus, or what was written since
  #release: (() => void) | undefined; // there is a draft
  #pause = (): void => {};
  #unwatch: (() => void) | undefined;

  constructor(list: List<F>, id: Id, field: F, options: DraftOptions = {}) {
    this.#list = list;
    this.#id = id;
    this.#field = field;
    this.#pauseMs = options.pauseMs ?? PAUSE_MS;
    this.#clock = options.clock ?? browserClock;
    this.#gone = options.gone ?? (() => {});
    this.#state = new Cell<DraftState>({ text: this.#current(), problem: undefined });
  }

  readonly snapshot = (): DraftState => {
    if (!this.#unwatch) this.#follow(); // nobody keeps it up to date
    return this.#state.snapshot();
  };

  readonly subscribe = (changed: () => void): (() => void) => this.#state.subscribe(changed);

  /** Follows the list from now on. Returns the way out, which writes a draft. */
  readonly open = (): (() => void) => {
    this.#unwatch ??= this.#list.item(this.#id).subscribe(() => {
      this.#follow();
      this.#state.tell();
    });
    this.#follow();
    this.#state.tell();
    return () => {
      this.#unwatch?.();
      this.#unwatch = undefined;
      this.#focused = false;
      this.#write();
      if (this.#release) this.#gone(this.#state.snapshot().text); // nobody is left to mend it
      this.#end();
    };
  };

  readonly focus = (): void => {
    if (this.#focused) return;
    if (!this.#release) this.#from = this.snapshot().text;
    this.#focused = true;
  };

  /** An input event: this is what the field holds now. */
  readonly input = (text: string): void => {
    this.focus(); // some fields are filled without one: a script, a drop
    this.#release ??= this.#list.holdDraft(() => this.#write());
    this.#show(text, undefined);
    this.#wait();
  };

  readonly compositionStart = (): void => {
    this.#composing = true;
  };
  readonly compositionEnd = (): void => {
    this.#composing = false;
    if (this.#release) this.#wait();
  };

  readonly blur = (): void => {
    this.#composing = false;
    this.#focused = false;
    this.#write();
    this.#follow();
    this.#state.tell();
  };

  #current(): string {
    return this.#list.item(this.#id).snapshot()?.[this.#field] ?? "";
  }

  /** Shows the current value, unless the field is the user's. */
  #follow(): void {
    if (this.#focused || this.#release) return;
    const text = this.#current();
    const { text: old, problem } = this.#state.snapshot();
    if (text !== old || problem !== undefined) this.#state.put({ text, problem: undefined });
  }

  #show(text: string, problem: string | undefined): void {
    this.#state.put({ text, problem });
    this.#state.tell();
  }

  #wait(): void {
    this.#pause();
    this.#pause = this.#clock.after(this.#pauseMs, () => {
      if (!this.#composing) this.#write();
    });
  }

  /** The draft, if there is one, becomes an operation. */
  #write(): void {
    this.#pause();
    if (!this.#release) return;
    const { text } = this.#state.snapshot();
    if (text !== this.#from) {
      try {
        const written = this.#list.update(this.#id, { [this.#field]: text } as Data<F>);
        if (written === "gone") this.#gone(text);
      } catch (error) {
        // Kept as a draft, shown, and closing stays unsafe: dropping it would lose it.
        this.#show(text, error instanceof Error ? error.message : String(error));
        return;
      }
      this.#from = text;
    }
    this.#end();
  }

  #end(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

type TextField = HTMLInputElement | HTMLTextAreaElement;

/** Ties a field of an item to a text field of the document. Returns the way out. */
export function bindDraft<F extends string>(
  list: List<F>,
  id: Id,
  field: F,
  input: TextField,
  options?: DraftOptions,
): () => void {
  const draft = new Draft(list, id, field, options);
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
