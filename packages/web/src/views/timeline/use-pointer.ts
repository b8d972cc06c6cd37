import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Window, around, fitted, panned, whole, zoomed } from "./axis.ts";
import { laneAt } from "./layout.ts";
import { overviewHeight } from "./paint-ruler.ts";
import { nameOf, rowAt } from "./queries.ts";
import { timeText } from "./time-text.ts";
import { type Painting, type Picture, gutter } from "./use-painting.ts";

/** A pointer that moves less clicks. */
const clickReach = 4;

interface Pointed extends Picture, Painting {
  /** Times are lines of a trace. */
  readonly lines: boolean;
  readonly onSelect: (row: number) => void;
}

type Handler = (event: PointerEvent) => void;

interface Pointer {
  /** Names what is under the pointer. */
  readonly tip: RefObject<HTMLDivElement | null>;
  readonly onTracks: {
    readonly onPointerDown: Handler;
    readonly onPointerMove: Handler;
    readonly onPointerUp: Handler;
    readonly onPointerLeave: () => void;
    readonly onDblClick: (event: MouseEvent) => void;
  };
  readonly onOverview: {
    readonly onPointerDown: Handler;
    readonly onPointerMove: Handler;
    readonly onPointerUp: Handler;
  };
}

/** What a pointer does: it drags the tracks and turns the wheel over them, selects, names, and jumps in the overview. */
export function usePointer(pointed: Pointed): Pointer {
  const room = Math.max(1, pointed.size.width - gutter);
  useWheel(pointed, room);
  return { ...useDrag(pointed, room), onOverview: useJump(pointed, room) };
}

function useDrag(pointed: Pointed, room: number): Pick<Pointer, "tip" | "onTracks"> {
  const { data, axis, layout, window, scroller, canvas, size, lines, onSelect } = pointed;
  const tip = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; window: Window; top: number; moved: boolean } | null>(null);
  const rowUnder = ({ offsetX, offsetY }: MouseEvent): number => {
    const lane = laneAt(layout, offsetY + scroller.current!.scrollTop);
    if (lane < 0 || offsetX < gutter) return -1;
    const { from, to } = window.peek();
    const each = (to - from) / room;
    return rowAt(data, data.lanes[lane]!, axis, from + (offsetX - gutter) * each, each * 4);
  };
  /** Most events are too narrow for their names. */
  const pointAt = (event: PointerEvent): void => {
    const row = rowUnder(event);
    const { current } = tip;
    current!.hidden = row < 0;
    if (row < 0) return;
    const long = data.end[row]! - data.start[row]!;
    current!.textContent = `${nameOf(data, row)}${long > 0 && !lines ? ` · ${timeText(long, 0.1)}` : ""}`;
    const { offsetX, offsetY } = event;
    const left = Math.max(gutter, Math.min(offsetX + 12, size.width - 40 - current!.offsetWidth));
    current!.style.transform = `translate(${left}px, ${offsetY + scroller.current!.scrollTop + 16}px)`;
  };
  return {
    tip,
    onTracks: {
      onPointerDown: (event) => {
        if (event.button !== 0) return;
        const { clientX: x, clientY: y } = event;
        drag.current = { x, y, window: window.peek(), top: scroller.current!.scrollTop, moved: false };
        canvas.current!.setPointerCapture(event.pointerId);
      },
      onPointerMove: (event) => {
        const from = drag.current;
        if (from === null) {
          pointAt(event);
          return;
        }
        const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
        if (!from.moved && Math.hypot(dx, dy) < clickReach) return;
        from.moved = true;
        tip.current!.hidden = true;
        window.value = panned(from.window, -dx / room, axis);
        scroller.current!.scrollTop = from.top - dy;
      },
      onPointerUp: (event) => {
        const from = drag.current;
        drag.current = null;
        if (from !== null && !from.moved) onSelect(rowUnder(event));
      },
      onPointerLeave: () => (tip.current!.hidden = true),
      onDblClick: (event) => {
        const row = rowUnder(event);
        if (row >= 0) window.value = around(axis.starts[row]!, axis.ends[row]! + axis.widen, axis);
      },
    },
  };
}

/** Preact listens to the wheel passively on none, browsers on some: it must be stopped from zooming the page. */
function useWheel({ axis, window, scroller }: Pointed, room: number): void {
  useEffect(() => {
    const element = scroller.current!;
    const onWheel = (event: WheelEvent): void => {
      const { deltaX, deltaY, ctrlKey, metaKey, shiftKey } = event;
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      if (ctrlKey || metaKey) {
        const at = (event.clientX - element.getBoundingClientRect().left - gutter) / room;
        const factor = Math.exp(Math.max(-1, Math.min(1, (deltaY * unit) / 300)));
        window.value = zoomed(window.peek(), factor, Math.min(1, Math.max(0, at)), axis);
      } else if (shiftKey || Math.abs(deltaX) > Math.abs(deltaY)) {
        const by = (shiftKey && deltaX === 0 ? deltaY : deltaX) * unit;
        window.value = panned(window.peek(), by / room, axis);
      } else return;
      event.preventDefault();
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  });
}

function useJump({ axis, window, ruler }: Pointed, room: number): Pointer["onOverview"] {
  const jumping = useRef(false);
  const jump = ({ offsetX }: PointerEvent): void => {
    if (!jumping.current) return;
    const all = whole(axis);
    const middle = all.from + ((offsetX - gutter) / room) * (all.to - all.from);
    const { from, to } = window.peek();
    window.value = fitted({ from: middle - (to - from) / 2, to: middle + (to - from) / 2 }, axis);
  };
  return {
    onPointerDown: (event) => {
      if (event.offsetX < gutter || event.offsetY > overviewHeight) return;
      jumping.current = true;
      ruler.current!.setPointerCapture(event.pointerId);
      jump(event);
    },
    onPointerMove: jump,
    onPointerUp: () => (jumping.current = false),
  };
}
