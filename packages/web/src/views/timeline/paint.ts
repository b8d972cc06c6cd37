import type { TimelineData, TimelineLane } from "@intremap/core";
import type { Axis, Window } from "./axis.ts";
import { type Layout, laneHeight, laneTop } from "./layout.ts";
import type { Palette, Tints } from "./palette.ts";
import { groupKind } from "./palette.ts";
import { type Flow, firstEndingAfter, firstStartingFrom, laneOf } from "./queries.ts";

/** Everything that a picture of a timeline depends on. Widths and heights are CSS pixels. */
export interface Scene {
  readonly data: TimelineData;
  readonly axis: Axis;
  readonly window: Window;
  readonly layout: Layout;
  readonly palette: Palette;
  /** By a name's number: what overrules the colour of its group, or -1. */
  readonly nameKinds: Int8Array;
  /** By numbers of names and tracks: 1 where a search finds them; null while nothing is looked for. */
  readonly hits: {
    readonly names: Uint8Array;
    readonly tracks: Uint8Array;
    /** How many it finds before a place in `data.rows`. */
    readonly before: Int32Array;
  } | null;
  readonly selected: number;
  readonly flows: readonly Flow[];
  /** Pixels at the left that tracks' heads take. */
  readonly gutter: number;
  readonly width: number;
  readonly height: number;
  /** How far the tracks are scrolled. */
  readonly scrolled: number;
}

/** Narrower rows are drawn together, a column of so many pixels at a time: no more rectangles than columns. */
const narrow = 3;
const column = 2;
const barHeight = laneHeight - 3;
/** What a search does not find. */
const dimmed = 0.3;

/** Draws the tracks. */
export function paint(context: CanvasRenderingContext2D, scene: Scene): void {
  const { layout, palette, width, height, scrolled, gutter, data } = scene;
  context.fillStyle = palette.paper;
  context.fillRect(0, 0, width, height);
  context.font = palette.font;
  context.textBaseline = "middle";
  context.save();
  context.beginPath();
  context.rect(gutter, 0, width - gutter, height);
  context.clip();
  for (const { top, height: tall, level, lanes, group } of layout.tracks) {
    const y = top - scrolled;
    if (y + tall < 0 || y > height) continue;
    if (level === 0) {
      context.fillStyle = palette.raised;
      context.fillRect(gutter, y, width - gutter, tall);
    } else {
      context.fillStyle = palette.line;
      context.fillRect(gutter, y + tall - 1, width - gutter, 0.5);
    }
    for (const [depth, lane] of lanes.entries()) {
      const at = y + depth * laneHeight;
      if (at + laneHeight < 0 || at > height) continue;
      paintLane(context, scene, data.lanes[lane]!, at + 1, groupKind(group));
    }
  }
  paintSelection(context, scene);
  context.restore();
}

/** Pixels from the left at which something stands. */
export function xOf({ gutter, width, window }: Scene, at: number): number {
  return gutter + ((at - window.from) / (window.to - window.from)) * (width - gutter);
}

function paintLane(
  context: CanvasRenderingContext2D,
  scene: Scene,
  lane: TimelineLane,
  y: number,
  groupTint: number,
): void {
  const { data, axis, window, palette, gutter, width, nameKinds, hits } = scene;
  const { rows, name } = data;
  const { starts, ends, widen, busy } = axis;
  const scale = (width - gutter) / (window.to - window.from);
  const tints = palette.kinds[groupTint]!;
  let runFrom = 0;
  let runTo = 0;
  let runLevel = -1;
  let runHits = false;
  const endRun = (): void => {
    if (runLevel < 0) return;
    context.fillStyle = runHits ? tints.solid : tints.dense[runLevel]!;
    if (hits !== null && !runHits) context.globalAlpha = dimmed;
    context.fillRect(gutter + runFrom * column, y, (runTo - runFrom) * column, barHeight);
    context.globalAlpha = 1;
    runLevel = -1;
  };
  for (let i = firstEndingAfter(data, lane, axis, window.from); i < lane.to;) {
    const row = rows[i]!;
    const start = starts[row]!;
    if (start > window.to) break;
    const x = (start - window.from) * scale;
    const wide = (ends[row]! + widen - start) * scale;
    let next = i + 1;
    if (wide < narrow) {
      const at = Math.max(0, Math.floor(x / column));
      next = firstStartingFrom(rows, axis, next, lane.to, window.from + ((at + 1) * column) / scale);
      // The last that begins in the column may reach far out of it.
      const last = rows[next - 1]!;
      if (next - 1 > i && (ends[last]! + widen - starts[last]!) * scale >= narrow) next--;
      if (next - i > 1) {
        const taken = (busy[next]! - busy[i]! + (next - i) * widen) * scale;
        const level = Math.min(2, Math.floor((taken / column) * 3));
        const found = hits !== null && hits.before[next]! > hits.before[i]!;
        if (runLevel !== level || runTo !== at || runHits !== found) {
          endRun();
          runFrom = at;
          runLevel = level;
          runHits = found;
        }
        runTo = at + 1;
        i = next;
        continue;
      }
    }
    endRun();
    const own = nameKinds[name[row]!]!;
    const colours = own < 0 ? tints : palette.kinds[own]!;
    const dim = hits !== null && hits.names[name[row]!] === 0 && hits.tracks[lane.track] === 0;
    if (dim) context.globalAlpha = dimmed;
    const room = next < lane.to ? (starts[rows[next]!]! - start) * scale : Infinity;
    if (data.first[row] === data.last[row]) paintInstant(context, scene, row, x, y, room, colours);
    else paintSlice(context, scene, row, x, y, wide, colours, hits !== null && !dim);
    if (dim) context.globalAlpha = 1;
    i = next;
  }
  endRun();
}

function paintSlice(
  context: CanvasRenderingContext2D,
  { data, gutter, width, palette }: Scene,
  row: number,
  x: number,
  y: number,
  wide: number,
  { solid, slices }: Tints,
  hit: boolean,
): void {
  const number = data.name[row]!;
  const left = Math.max(gutter + x, gutter - 1);
  const right = Math.min(gutter + x + Math.max(wide, 2), width + 1);
  context.fillStyle = hit ? palette.mark : slices[number % slices.length]!;
  context.fillRect(left, y, right - left, barHeight);
  context.fillStyle = solid;
  context.fillRect(left, y, right - left > 4 ? 1.5 : 1, barHeight);
  paintText(context, palette, data.names[number]!, left + 4, y, right - left - 6, palette.ink);
}

function paintInstant(
  context: CanvasRenderingContext2D,
  { data, gutter, palette }: Scene,
  row: number,
  x: number,
  y: number,
  room: number,
  { solid }: Tints,
): void {
  const left = gutter + x;
  context.fillStyle = solid;
  context.fillRect(left, y, 2, barHeight);
  if (room < 8) return;
  context.beginPath();
  context.moveTo(left + 2, y + 3);
  context.lineTo(left + 6, y + barHeight / 2);
  context.lineTo(left + 2, y + barHeight - 3);
  context.fill();
  paintText(context, palette, data.names[data.name[row]!]!, left + 9, y, room - 12, palette.ink);
}

function paintText(
  context: CanvasRenderingContext2D,
  { advance }: Palette,
  text: string,
  x: number,
  y: number,
  room: number,
  colour: string,
): void {
  const fits = Math.floor(room / advance);
  if (fits < 2) return;
  context.fillStyle = colour;
  context.fillText(text.length <= fits ? text : `${text.slice(0, fits - 1)}…`, x, y + barHeight / 2 + 0.5);
}

/** Below this an arrow goes straight up or down. */
const steep = 14;

function paintArrow(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  const across = x1 - x0;
  context.beginPath();
  context.moveTo(x0, y0);
  if (across < steep) context.lineTo(x1, y1);
  else context.bezierCurveTo(x0 + across / 2, y0, x1 - across / 2, y1, x1, y1);
  context.stroke();
  // The head points to where the line comes to: from the left, or from above or below.
  const [dx, dy] = across < steep ? [0, Math.sign(y1 - y0)] : [1, 0];
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - 6 * dx - 3.5 * dy, y1 - 6 * dy - 3.5 * dx);
  context.lineTo(x1 - 6 * dx + 3.5 * dy, y1 - 6 * dy + 3.5 * dx);
  context.fill();
}

/** The selected row's outline, and the flows that pass it. */
function paintSelection(context: CanvasRenderingContext2D, scene: Scene): void {
  const { data, axis, layout, scrolled, palette, selected, flows, height } = scene;
  if (selected < 0) return;
  const placeOf = (row: number): { x: number; right: number; y: number } | null => {
    const lane = laneTop(layout, data.lanes.indexOf(laneOf(data, row)));
    if (lane === null) return null;
    const x = xOf(scene, axis.starts[row]!);
    return { x, right: xOf(scene, axis.ends[row]! + axis.widen), y: lane - scrolled + 1 };
  };
  context.strokeStyle = palette.bad;
  context.fillStyle = palette.bad;
  context.lineWidth = 1.5;
  for (const { rows } of flows) {
    const places = rows.map(placeOf).filter((place) => place !== null);
    for (const [i, to] of places.entries()) {
      const from = places[i - 1];
      if (from === undefined || Math.max(from.y, to.y) < -2000 || Math.min(from.y, to.y) > height + 2000)
        continue;
      const [y0, y1] = [from.y + barHeight / 2, to.y + barHeight / 2];
      paintArrow(context, from.x, y0, to.x, y1);
    }
  }
  const place = placeOf(selected);
  if (place === null) return;
  context.strokeStyle = palette.ink;
  context.lineWidth = 2;
  context.strokeRect(place.x - 1, place.y - 1, Math.max(place.right - place.x, 3) + 2, barHeight + 2);
}
