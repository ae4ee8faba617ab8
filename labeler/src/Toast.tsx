/** Toast.tsx - what was just done, in words, and the way back. */
import { useCallback, useEffect, useState } from "react";

export type Said = {
  readonly words: string;
  /** For those who listen only: the eye has seen it happen. */
  readonly quiet?: boolean;
  readonly warn?: boolean;
  readonly undo?: () => void;
};
type Shown = Said & { readonly key: number };
export type Say = (said: Said) => void;

/** Long enough to read it and to reach the button. */
const SHOWN_MS = 10_000;
let last = 0;

export function useToast(): [Shown | undefined, Say] {
  const [toast, setToast] = useState<Shown>();
  const say = useCallback((said: Said) => setToast({ ...said, key: ++last }), []);
  useEffect(() => {
    if (!toast) return;
    const timer = setTimeout(() => setToast(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [toast]);
  return [toast, say];
}

export function Toast({ toast }: { toast: Shown | undefined }) {
  const [undone, setUndone] = useState(0);
  const { key = 0, words, quiet, warn, undo } = toast ?? {};
  return (
    <div role="status" data-testid="toast">
      {toast && undone !== key && (
        <div key={key} className={quiet ? "sr" : "toast"} data-tone={warn ? "warn" : undefined}>
          <span>{words}</span>
          {undo && (
            <button
              type="button"
              className="plain"
              data-testid="undo"
              onClick={() => {
                setUndone(key);
                undo();
              }}
            >
              Undo
            </button>
          )}
        </div>
      )}
    </div>
  );
}
