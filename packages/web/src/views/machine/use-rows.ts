import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";
import { useLayoutEffect, useReducer, useRef } from "preact/hooks";

/** In pixels; every row is one line. */
export const rowHeight = 28;

/** Tells which rows of a long list can be seen, and draws anew when that changes. */
export function useRows(
  count: number,
  scroller: { readonly current: HTMLDivElement | null },
): Virtualizer<HTMLDivElement, Element> {
  const [, draw] = useReducer((times: number) => times + 1, 0);
  const options = {
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    overscan: 12,
    scrollPaddingStart: rowHeight,
    onChange: () => draw(0),
  };
  const kept = useRef<Virtualizer<HTMLDivElement, Element>>(null);
  kept.current ??= new Virtualizer<HTMLDivElement, Element>(options);
  kept.current.setOptions(options);
  // What the library has its adapters call.
  // oxlint-disable-next-line no-underscore-dangle
  useLayoutEffect(() => kept.current!._didMount(), []);
  // oxlint-disable-next-line no-underscore-dangle
  useLayoutEffect(() => kept.current!._willUpdate());
  return kept.current;
}
