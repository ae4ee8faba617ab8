/**
 * span.ts - which lines of a long scroller are in the document: those in view, and a
 * screenful on either side. Every line has the same height, so nothing is measured and
 * nothing jumps.
 */
import { useCallback, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";
import type { RefObject } from "react";

/** Told in steps: a line more or less is not worth a rendering. */
const STEP = 2;
/** Until the scroller is known. */
const FIRST_LINES = 24;

type Port = { top: number; height: number };

export type Span = { readonly first: number; readonly last: number };

export function useSpan(scroller: RefObject<HTMLElement | null>, lineHeight: number): Span {
  const port = useRef<Port>({ top: 0, height: 0 });
  const subscribe = useCallback(
    (changed: () => void) => {
      const element = scroller.current!;
      const look = (): void => {
        port.current = { top: element.scrollTop, height: element.clientHeight };
        changed();
      };
      const sized = new ResizeObserver(look);
      sized.observe(element);
      element.addEventListener("scroll", look, { passive: true });
      look();
      return () => {
        sized.disconnect();
        element.removeEventListener("scroll", look);
      };
    },
    [scroller],
  );
  const first = useSyncExternalStore(subscribe, () => {
    const { top, height } = port.current;
    return Math.max(0, Math.floor((top - height) / lineHeight / STEP) * STEP);
  });
  const last = useSyncExternalStore(subscribe, () => {
    const { top, height } = port.current;
    if (height === 0) return FIRST_LINES;
    return Math.ceil((top + 2 * height) / lineHeight / STEP) * STEP;
  });
  return { first, last };
}

/** The width within the element's padding; 0 before it is known. */
export function useWidth(of: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = of.current!;
    const look = (): void => {
      const { paddingLeft, paddingRight } = getComputedStyle(element);
      setWidth(element.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight));
    };
    const sized = new ResizeObserver(look);
    sized.observe(element);
    look();
    return () => sized.disconnect();
  }, [of]);
  return width;
}

/** Scrolls as little as it takes to show a line. */
export function showLine(element: HTMLElement, line: number, lineHeight: number, head = 0): void {
  const top = head + line * lineHeight;
  if (top < element.scrollTop) element.scrollTop = top;
  else if (top + lineHeight > element.scrollTop + element.clientHeight)
    element.scrollTop = top + lineHeight - element.clientHeight;
}

export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (changed: () => void) => {
      const media = matchMedia(query);
      media.addEventListener("change", changed);
      return () => media.removeEventListener("change", changed);
    },
    [query],
  );
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches);
}

/** What CSS calls 1rem: a reader who wants larger letters gets larger rows. */
export const rem = (): number => parseFloat(getComputedStyle(document.documentElement).fontSize);
