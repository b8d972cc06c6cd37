import type { TimelineData, TimelineLane } from "@intremap/core";
import type { Axis } from "./axis.ts";

/** The first place in a lane whose row ends behind `x`; the lane's end if there is none. */
export function firstEndingAfter(
  { rows }: TimelineData,
  { from, to }: TimelineLane,
  axis: Axis,
  x: number,
): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (axis.ends[rows[middle]!]! + axis.widen > x) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The first place from `at` on whose row starts at or behind `x`: looked for in growing steps. */
export function firstStartingFrom(rows: Int32Array, axis: Axis, at: number, to: number, x: number): number {
  const { starts } = axis;
  let low = at;
  let step = 1;
  let high = at;
  while (high < to && starts[rows[high]!]! < x) {
    low = high + 1;
    high += step;
    step *= 2;
  }
  high = Math.min(high, to);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[rows[middle]!]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The row of a lane at `x`, or the nearest that is not further away than `slack`; -1 for none. */
export function rowAt(data: TimelineData, lane: TimelineLane, axis: Axis, x: number, slack: number): number {
  const place = firstEndingAfter(data, lane, axis, x - slack);
  let best = -1;
  let distance = Infinity;
  // Instants stand close together: of those within reach the nearest is meant.
  for (let i = place; i < Math.min(lane.to, place + 200); i++) {
    const row = data.rows[i]!;
    const start = axis.starts[row]!;
    if (start > x + slack) break;
    const away = Math.max(start - x, x - (axis.ends[row]! + axis.widen), 0);
    if (away < distance) {
      best = row;
      distance = away;
    }
  }
  return best;
}

/** The slice of a lane that is open at an event; -1 for none. */
function openAt(data: TimelineData, { from, to }: TimelineLane, event: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (data.first[data.rows[middle]!]! <= event) low = middle + 1;
    else high = middle;
  }
  const row = low > from ? data.rows[low - 1]! : -1;
  return row >= 0 && data.last[row]! >= event ? row : -1;
}

/** The slices of a track that are open at an event, innermost first. */
function openOn(data: TimelineData, track: number, event: number): number[] {
  return data.lanes
    .filter((lane) => lane.track === track)
    .map((lane) => openAt(data, lane, event))
    .filter((row) => row >= 0 && data.first[row] !== data.last[row])
    .reverse();
}

/** The slices that a row stands in, innermost first, itself not among them. */
export function enclosing(data: TimelineData, row: number): number[] {
  return openOn(data, data.track[row]!, data.first[row]!).filter(
    (one) => one !== row && data.depth[one]! < data.depth[row]!,
  );
}

/** Rows of its track that stand in a slice, at most some hundred. */
export function inside(data: TimelineData, row: number): number[] {
  const rows: number[] = [];
  const end = data.last[row]!;
  for (let next = row + 1; next < data.start.length && data.first[next]! < end && rows.length < 300; next++) {
    if (data.track[next] === data.track[row]) rows.push(next);
  }
  return rows;
}

/** The calls in which a row happened, innermost first: those of the thread that made the last of them. */
export function callsAt(data: TimelineData, row: number): number[] {
  const event = data.first[row]!;
  if (data.tracks[data.track[row]!]!.thread) return openOn(data, data.track[row]!, event);
  let calls: number[] = [];
  for (const [number, { thread }] of data.tracks.entries()) {
    if (!thread) continue;
    const open = openOn(data, number, event);
    if (open.length > 0 && (calls.length === 0 || data.first[open[0]!]! > data.first[calls[0]!]!))
      calls = open;
  }
  return calls;
}

/** One flow's points, in their order. */
export interface Flow {
  readonly id: number;
  readonly rows: readonly number[];
  /** Its last point is where it ends. */
  readonly ended: boolean;
}

/** The flows that pass a row. */
export function flowsOf(data: TimelineData, row: number): Flow[] {
  const { flowByRow, flowRow } = data;
  let low = 0;
  let high = flowByRow.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (flowRow[flowByRow[middle]!]! < row) low = middle + 1;
    else high = middle;
  }
  const flows: Flow[] = [];
  for (; low < flowByRow.length && flowRow[flowByRow[low]!] === row; low++) {
    flows.push(flowAround(data, flowByRow[low]!));
  }
  return flows;
}

/** No flow that anybody looks at has more points. */
const longestFlow = 500;

function flowAround({ flowId, flowRow, flowLast }: TimelineData, point: number): Flow {
  const id = flowId[point]!;
  let from = point;
  while (from > 0 && flowId[from - 1] === id && point - from < longestFlow) from--;
  const rows: number[] = [];
  let ended = false;
  for (let at = from; at < flowId.length && flowId[at] === id && rows.length < longestFlow; at++) {
    rows.push(flowRow[at]!);
    ended = flowLast[at] === 1;
  }
  return { id, rows, ended };
}

/** The rows of a flow; empty if there is none of this number. */
export function flowRows({ flowId, flowRow }: TimelineData, id: number): number[] {
  let low = 0;
  let high = flowId.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (flowId[middle]! < id) low = middle + 1;
    else high = middle;
  }
  const rows: number[] = [];
  for (; flowId[low] === id && rows.length < longestFlow; low++) rows.push(flowRow[low]!);
  return rows;
}

/** A value of a row, as it is shown. */
export interface ShownValue {
  readonly name: string;
  readonly text: string;
}

export function valuesOf(data: TimelineData, row: number): ShownValue[] {
  const values: ShownValue[] = [];
  for (let i = data.valueFrom[row]!; i < data.valueFrom[row + 1]!; i++) {
    const low = data.valueLow[i]!;
    const wide = (BigInt(data.valueHigh[i]! >>> 0) << 32n) | BigInt(low >>> 0);
    const text = data.valueHex[i] === 1 ? `0x${wide.toString(16)}` : `${low}`;
    values.push({ name: data.valueNames[data.valueName[i]!]!, text });
  }
  return values;
}

export function nameOf({ names, name }: TimelineData, row: number): string {
  return names[name[row]!]!;
}

/** The lane in which a row stands. */
export function laneOf({ lanes, track, depth }: TimelineData, row: number): TimelineLane {
  return lanes.find((lane) => lane.track === track[row] && lane.depth === depth[row])!;
}

/** A row's place in `data.rows`. */
export function placeOf(data: TimelineData, row: number): number {
  const { from, to } = laneOf(data, row);
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (data.rows[middle]! < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Rows whose name or track is wanted, in their order. @param names, tracks 1 for those. */
export function found({ name, track }: TimelineData, names: Uint8Array, tracks: Uint8Array): Int32Array {
  const rows = new Int32Array(name.length);
  let count = 0;
  for (let row = 0; row < name.length; row++) {
    if (names[name[row]!] === 1 || tracks[track[row]!] === 1) rows[count++] = row;
  }
  return rows.slice(0, count);
}

/** How many of the wanted rows come before each place in `data.rows`, and behind the last. */
export function foundBefore(
  { rows, name, track }: TimelineData,
  names: Uint8Array,
  tracks: Uint8Array,
): Int32Array {
  const before = new Int32Array(rows.length + 1);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    before[i + 1] = before[i]! + (names[name[row]!] === 1 || tracks[track[row]!] === 1 ? 1 : 0);
  }
  return before;
}

/** How many of ascending rows come before one. */
export function rankOf(rows: Int32Array, row: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle]! < row) low = middle + 1;
    else high = middle;
  }
  return low;
}
