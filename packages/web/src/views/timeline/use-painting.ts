import type { TimelineData } from "@intremap/core";
import { type Signal, effect } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { theme } from "../../state/theme.ts";
import { type Axis, type Window, whole } from "./axis.ts";
import type { Layout } from "./layout.ts";
import { type Scene, paint } from "./paint.ts";
import { overviewOf, paintRuler, rulerHeight } from "./paint-ruler.ts";
import { type Palette, nameKind, paletteAt } from "./palette.ts";
import type { Flow } from "./queries.ts";

/** Pixels that tracks' heads take. */
export const gutter = 184;

/** What a search found. */
export interface Hits {
  readonly rows: Int32Array;
  readonly names: Uint8Array;
  readonly tracks: Uint8Array;
  /** How many of them come before a place in `data.rows`. */
  readonly before: Int32Array;
}

/** What is painted. */
export interface Picture {
  readonly data: TimelineData;
  readonly axis: Axis;
  readonly layout: Layout;
  readonly window: Signal<Window>;
  readonly hits: Hits | null;
  readonly selected: number;
  readonly flows: readonly Flow[];
  /** As large as the canvas: it lies over what is scrolled. */
  readonly scroller: RefObject<HTMLDivElement | null>;
}

export interface Painting {
  readonly canvas: RefObject<HTMLCanvasElement | null>;
  readonly ruler: RefObject<HTMLCanvasElement | null>;
  /** CSS pixels. */
  readonly size: Size;
  readonly drawSoon: () => void;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Paints tracks and ruler on their canvases, at most once a frame: whenever the picture, the window, size or colours change. */
export function usePainting(picture: Picture): Painting {
  const { data, axis, layout, window, hits, selected, flows, scroller } = picture;
  const canvas = useRef<HTMLCanvasElement>(null);
  const ruler = useRef<HTMLCanvasElement>(null);
  const size = useSize(scroller);
  const palette = usePalette(scroller);
  const scene = useRef<(Scene & { overview: Float32Array; rows: Int32Array | null }) | null>(null);
  const due = useRef(false);

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
    const drawn = { data, axis, layout, palette, nameKinds, hits, selected, flows, gutter, ...size };
    scene.current = { ...drawn, window: window.peek(), scrolled: 0, overview, rows: hits?.rows ?? null };
    drawSoon();
  });
  useEffect(() => effect(() => (void window.value, drawSoon())), [window]);
  return { canvas, ruler, size, drawSoon };
}

function useSize(scroller: Picture["scroller"]): Size {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = scroller.current!;
    const measure = (): void => setSize({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  return size;
}

/** The colours of the theme; null until they are known. */
function usePalette(scroller: Picture["scroller"]): Palette | null {
  const [palette, setPalette] = useState<Palette | null>(null);
  useLayoutEffect(() => {
    const element = scroller.current!;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const repaint = (): void => setPalette(paletteAt(element));
    dark.addEventListener("change", repaint);
    const stop = effect(() => {
      void theme.value;
      // The attribute that the colours hang on changes in an effect of its own.
      queueMicrotask(repaint);
    });
    return () => {
      dark.removeEventListener("change", repaint);
      stop();
    };
  }, []);
  return palette;
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
