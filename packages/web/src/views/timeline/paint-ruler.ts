import type { Axis, Window } from "./axis.ts";
import type { Palette } from "./palette.ts";
import { countText, markStep, timeText } from "./time-text.ts";

/** Pixels: the picture of everything, and the marks below it. */
export const overviewHeight = 26;
export const rulerHeight = overviewHeight + 20;

export interface RulerScene {
  readonly axis: Axis;
  readonly window: Window;
  readonly all: Window;
  readonly palette: Palette;
  /** Shares of the busiest part of everything, from the left. */
  readonly overview: Float32Array;
  /** Where a search found something. */
  readonly hits: Int32Array | null;
  readonly selected: number;
  readonly gutter: number;
  readonly width: number;
}

/** How many rows begin in each part of everything, as shares of the most. */
export function overviewOf({ starts }: Axis, { from, to }: Window, parts = 400): Float32Array {
  const counts = new Float32Array(parts);
  const scale = parts / (to - from);
  for (let row = 0; row < starts.length; row++) {
    const part = Math.min(parts - 1, Math.floor((starts[row]! - from) * scale));
    counts[part] = counts[part]! + 1;
  }
  const most = counts.reduce((left, right) => Math.max(left, right), 1);
  return counts.map((count) => (count === 0 ? 0 : 0.12 + 0.88 * (count / most)));
}

/** Draws the overview with the window in it, and the marks of the window. */
export function paintRuler(context: CanvasRenderingContext2D, scene: RulerScene): void {
  const { axis, window, all, palette, overview, hits, selected, gutter, width } = scene;
  const room = width - gutter;
  const inAll = (at: number): number => gutter + ((at - all.from) / (all.to - all.from)) * room;
  context.fillStyle = palette.paper;
  context.fillRect(0, 0, width, rulerHeight);
  context.fillStyle = palette.raised;
  context.fillRect(gutter, 0, room, overviewHeight);
  const [left, right] = [inAll(window.from), inAll(window.to)];
  context.fillStyle = palette.faint;
  const wide = room / overview.length;
  for (const [i, share] of overview.entries()) {
    const tall = share * (overviewHeight - 4);
    context.fillRect(gutter + i * wide, overviewHeight - tall, wide + 0.5, tall);
  }
  context.strokeStyle = palette.accent;
  context.lineWidth = 2;
  context.strokeRect(left + 1, 1, Math.max(right - left - 2, 2), overviewHeight - 2);
  if (hits !== null) paintHits(context, scene, hits, inAll);
  if (selected >= 0) {
    context.fillStyle = palette.ink;
    context.fillRect(inAll(axis.starts[selected]!) - 1, 0, 2, overviewHeight);
  }
  paintMarks(context, scene, room);
}

function paintHits(
  context: CanvasRenderingContext2D,
  { axis, palette }: RulerScene,
  hits: Int32Array,
  inAll: (at: number) => number,
): void {
  context.fillStyle = palette.bad;
  let before = -1;
  // Of very many hits a part shows where they are.
  const step = Math.max(1, Math.floor(hits.length / 20_000));
  for (let i = 0; i < hits.length; i += step) {
    const x = Math.floor(inAll(axis.starts[hits[i]!]!));
    if (x === before) continue;
    before = x;
    context.fillRect(x, overviewHeight - 6, 1, 6);
  }
}

function paintMarks(
  context: CanvasRenderingContext2D,
  { axis, window, palette, gutter, width }: RulerScene,
  room: number,
): void {
  const span = window.to - window.from;
  const step = Math.max(axis.unit === "time" ? 0 : 1, markStep(span / (room / 110)));
  context.font = palette.font;
  context.textBaseline = "middle";
  context.save();
  context.beginPath();
  context.rect(gutter, overviewHeight, width - gutter, rulerHeight - overviewHeight);
  context.clip();
  const first = Math.max(0, Math.ceil(window.from / step));
  for (let mark = first; mark * step <= window.to; mark++) {
    const at = mark * step;
    const x = gutter + ((at - window.from) / span) * room;
    context.fillStyle = palette.line;
    context.fillRect(x, overviewHeight, 1, rulerHeight - overviewHeight);
    context.fillStyle = palette.faint;
    const text = axis.unit === "time" ? timeText(at, step, true) : countText(Math.round(at));
    context.fillText(text, x + 4, overviewHeight + 11);
  }
  context.restore();
}
