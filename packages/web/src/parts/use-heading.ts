import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** Whether the focus was in what is just going. */
let lost = false;

/**
 * For parts of a view that take each other's place: whoever stood in the one goes on at the heading of the other, which
 * takes the focus by `tabIndex={-1}`. Of parts in parts the outermost does.
 */
export function useHeading<Part extends HTMLElement = HTMLElement>(): RefObject<Part | null> {
  const part = useRef<Part>(null);
  useLayoutEffect(() => {
    const own = part.current;
    // What comes is there before the turn ends in which the other went: first what is inside, then what it is in.
    if (lost) own?.querySelector<HTMLElement>("h1, h2")?.focus();
    return () => {
      if (own?.contains(document.activeElement) !== true) return;
      lost = true;
      queueMicrotask(() => (lost = false));
    };
  }, []);
  return part;
}
