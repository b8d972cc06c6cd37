import type { TimelineData } from "@intremap/core";
import { type Signal, effect } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { theme } from "../../state/theme.ts";
import { type Axis, type Window, around, fitted, panned, whole, zoomed } from "./axis.ts";
import { type Command, commandOf } from "./keys.ts";
import { type Layout, laneAt, laneHeight, laneTop } from "./layout.ts";
import { type Scene, paint } from "./paint.ts";
import { overviewHeight, overviewOf, paintRuler, rulerHeight } from "./paint-ruler.ts";
import { type Palette, nameKind, paletteAt } from "./palette.ts";
import { type Flow, laneOf, nameOf, rowAt } from "./queries.ts";
import { timeText } from "./time-text.ts";
import { TrackHeads } from "./track-heads.tsx";

/** What a search found. */
export interface Hits {
  readonly rows: Int32Array;
  readonly names: Uint8Array;
  readonly tracks: Uint8Array;
  /** How many of them come before a place in `data.rows`. */
  readonly before: Int32Array;
}

interface ChartProps {
  readonly data: TimelineData;
  readonly axis: Axis;
  readonly layout: Layout;
  readonly window: Signal<Window>;
  readonly hits: Hits | null;
  readonly selected: number;
  readonly flows: readonly Flow[];
  /** What takes the keys. */
  readonly scroller: RefObject<HTMLDivElement | null>;
  /** Times are lines of a trace. */
  readonly lines: boolean;
  readonly onSelect: (row: number) => void;
  readonly onFold: (track: number) => void;
  /** What a key asks for and the chart cannot do by itself. */
  readonly onCommand: (command: Command) => void;
}

/** Pixels that tracks' heads take. */
const gutter = 184;
/** A pointer that moves less clicks. */
const clickReach = 4;

/** The tracks on a canvas, with an overview and marks above. */
export function Chart(props: ChartProps) {
  const { data, axis, layout, window, selected, scroller, onFold } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const ruler = useRef<HTMLCanvasElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const [palette, setPalette] = useState<Palette | null>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const scene = useRef<(Scene & { overview: Float32Array; rows: Int32Array | null }) | null>(null);
  const due = useRef(false);

  useLayoutEffect(() => {
    const element = scroller.current!;
    const measure = (): void => setSize({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const repaint = (): void => setPalette(paletteAt(element));
    dark.addEventListener("change", repaint);
    const stop = effect(() => {
      void theme.value;
      // The attribute that the colours hang on changes in an effect of its own.
      queueMicrotask(repaint);
    });
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", repaint);
      stop();
    };
  }, []);

  const draw = (): void => {
    due.current = false;
    const { current } = scene;
    if (current === null || canvas.current === null || ruler.current === null) return;
    const now = { ...current, window: window.peek(), scrolled: scroller.current!.scrollTop };
    const ratio = devicePixelRatio;
    const context = contextOf(canvas.current, now.width, now.height, ratio);
    paint(context, now);
    paintRuler(contextOf(ruler.current, now.width, rulerHeight, ratio), {
      ...now,
      all: whole(now.axis),
      hits: now.rows,
    });
  };
  const drawSoon = (): void => {
    if (due.current) return;
    due.current = true;
    requestAnimationFrame(draw);
  };
  const overview = useMemo(() => overviewOf(axis, whole(axis)), [axis]);
  const nameKinds = useMemo(() => Int8Array.from(data.names, nameKind), [data]);
  useLayoutEffect(() => {
    if (palette === null || size.width === 0) return;
    const { hits, flows } = props;
    const drawn = { data, axis, layout, palette, nameKinds, hits, selected, flows, gutter, ...size };
    scene.current = { ...drawn, window: window.peek(), scrolled: 0, overview, rows: hits?.rows ?? null };
    drawSoon();
  });
  useEffect(() => effect(() => (void window.value, drawSoon())), [window]);

  // What is selected comes into sight.
  useEffect(() => {
    if (selected < 0) return;
    const top = laneTop(layout, data.lanes.indexOf(laneOf(data, selected)));
    const element = scroller.current!;
    if (top === null) return;
    if (top < element.scrollTop) element.scrollTop = Math.max(0, top - laneHeight * 2);
    else if (top + laneHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + laneHeight * 3 - element.clientHeight;
    }
  }, [selected, layout, data]);

  const room = Math.max(1, size.width - gutter);
  const drag = useRef<{ x: number; y: number; window: Window; top: number; moved: boolean } | null>(null);
  const onPointerDown = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    const { clientX: x, clientY: y } = event;
    drag.current = { x, y, window: window.peek(), top: scroller.current!.scrollTop, moved: false };
    canvas.current!.setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent): void => {
    const from = drag.current;
    if (from === null) {
      pointAt(event);
      return;
    }
    const { clientX, clientY } = event;
    const [dx, dy] = [clientX - from.x, clientY - from.y];
    if (!from.moved && Math.hypot(dx, dy) < clickReach) return;
    from.moved = true;
    tip.current!.hidden = true;
    window.value = panned(from.window, -dx / room, axis);
    scroller.current!.scrollTop = from.top - dy;
  };
  const onPointerUp = (event: PointerEvent): void => {
    const from = drag.current;
    drag.current = null;
    if (from !== null && !from.moved) props.onSelect(rowUnder(event));
  };
  const rowUnder = ({ offsetX, offsetY }: MouseEvent): number => {
    const lane = laneAt(layout, offsetY + scroller.current!.scrollTop);
    if (lane < 0 || offsetX < gutter) return -1;
    const { from, to } = window.peek();
    const each = (to - from) / room;
    return rowAt(data, data.lanes[lane]!, axis, from + (offsetX - gutter) * each, each * 4);
  };
  /** Names what is under the pointer: most events are too narrow for their names. */
  const pointAt = (event: PointerEvent): void => {
    const row = rowUnder(event);
    const { current } = tip;
    current!.hidden = row < 0;
    if (row < 0) return;
    const long = data.end[row]! - data.start[row]!;
    current!.textContent = `${nameOf(data, row)}${long > 0 && !props.lines ? ` · ${timeText(long, 0.1)}` : ""}`;
    const { offsetX, offsetY } = event;
    const left = Math.max(gutter, Math.min(offsetX + 12, size.width - 40 - current!.offsetWidth));
    current!.style.transform = `translate(${left}px, ${offsetY + scroller.current!.scrollTop + 16}px)`;
  };
  const onDblClick = (event: MouseEvent): void => {
    const row = rowUnder(event);
    if (row >= 0) window.value = around(axis.starts[row]!, axis.ends[row]! + axis.widen, axis);
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const command = commandOf(event);
    if (command === undefined || event.target !== scroller.current) return;
    event.preventDefault();
    if (command === "in" || command === "out") zoomBy(command === "in" ? 0.6 : 1 / 0.6, 0.5);
    else if (command === "earlier" || (command === "left" && selected < 0)) panBy(-0.15);
    else if (command === "later" || (command === "right" && selected < 0)) panBy(0.15);
    else if (command === "all") window.value = whole(axis);
    else props.onCommand(command);
  };
  const zoomBy = (factor: number, at: number): void => {
    window.value = zoomed(window.peek(), factor, at, axis);
  };
  const panBy = (by: number): void => {
    window.value = panned(window.peek(), by, axis);
  };

  // Preact listens to the wheel passively on none, browsers on some: it must be stopped from zooming the page.
  useEffect(() => {
    const element = scroller.current!;
    const onWheel = (event: WheelEvent): void => {
      const { deltaX, deltaY, ctrlKey, metaKey, shiftKey } = event;
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      if (ctrlKey || metaKey) {
        const at = (event.clientX - element.getBoundingClientRect().left - gutter) / room;
        zoomBy(Math.exp(Math.max(-1, Math.min(1, (deltaY * unit) / 300))), Math.min(1, Math.max(0, at)));
      } else if (shiftKey || Math.abs(deltaX) > Math.abs(deltaY)) {
        panBy(((shiftKey && deltaX === 0 ? deltaY : deltaX) * unit) / room);
      } else return;
      event.preventDefault();
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  });

  const jumping = useRef(false);
  const onRuler = (event: PointerEvent): void => {
    const { offsetX, offsetY } = event;
    if (event.type === "pointerdown") {
      if (offsetX < gutter || offsetY > overviewHeight) return;
      jumping.current = true;
      ruler.current!.setPointerCapture(event.pointerId);
    }
    if (event.type === "pointerup") jumping.current = false;
    if (!jumping.current) return;
    const all = whole(axis);
    const middle = all.from + ((offsetX - gutter) / room) * (all.to - all.from);
    const { from, to } = window.peek();
    window.value = fitted({ from: middle - (to - from) / 2, to: middle + (to - from) / 2 }, axis);
  };

  return (
    <div class="chart">
      <canvas
        ref={ruler}
        class="chart-ruler"
        aria-hidden="true"
        style={{ height: `${rulerHeight}px`, width: `${size.width}px` }}
        onPointerDown={onRuler}
        onPointerMove={onRuler}
        onPointerUp={onRuler}
      />
      <div
        ref={scroller}
        class="chart-scroller"
        tabIndex={0}
        role="application"
        aria-label="Tracks"
        aria-describedby="chart-keys"
        onKeyDown={onKeyDown}
        onScroll={drawSoon}
      >
        <div class="chart-tall" style={{ height: `${layout.height}px` }}>
          <canvas
            ref={canvas}
            class="chart-canvas"
            aria-hidden="true"
            style={{ width: `${size.width}px`, height: `${size.height}px` }}
            onPointerDown={onPointerDown}
            onPointerMove={onPointerMove}
            onPointerUp={onPointerUp}
            onPointerLeave={() => (tip.current!.hidden = true)}
            onDblClick={onDblClick}
          />
          <div ref={tip} class="chart-tip" aria-hidden="true" hidden />
          <TrackHeads layout={layout} width={gutter} onFold={onFold} />
        </div>
      </div>
    </div>
  );
}

function contextOf(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  ratio: number,
): CanvasRenderingContext2D {
  const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== tall) {
    canvas.width = wide;
    canvas.height = tall;
  }
  const context = canvas.getContext("2d", { alpha: false })!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
