import type { TimelineData } from "@intremap/core";

/**
 * What stands across: modelled time; or begins, ends and instants one after the other, where what takes no time has a
 * width too.
 */
export type Scale = "time" | "order";

/** Where rows begin and end on a scale: in nanoseconds, or in steps. */
export interface Axis {
  readonly scale: Scale;
  /** What is counted along it. */
  readonly unit: "time" | "lines" | "steps";
  readonly starts: Float64Array | Int32Array;
  readonly ends: Float64Array | Int32Array;
  /** What is added to an end: a step has a width of 1. */
  readonly widen: number;
  /** What rows before one of a lane took, by its place in `data.rows`. */
  readonly busy: Float64Array;
  readonly from: number;
  readonly to: number;
  /** The narrowest stretch that is shown. */
  readonly least: number;
}

/** @param lines times are lines of a trace. */
export function axisOf(data: TimelineData, scale: Scale, lines = false): Axis {
  if (scale === "order") {
    return {
      scale,
      unit: "steps",
      starts: data.first,
      ends: data.last,
      widen: 1,
      busy: data.busyEvents,
      from: 0,
      to: Math.max(1, data.events),
      least: 6,
    };
  }
  return {
    scale,
    unit: lines ? "lines" : "time",
    starts: data.start,
    ends: data.end,
    widen: 0,
    busy: data.busy,
    from: data.from,
    to: Math.max(data.to, data.from + 1),
    least: 2,
  };
}

/** Columns in which rows are counted, and how many of them no more than half may stand in. */
const columns = 100;
const crowded = 2;

/** What shows most of a timeline: its time, unless most of what happens takes none of it. */
export function usualScale(data: TimelineData): Scale {
  const { start, from, to } = data;
  const counts = new Int32Array(columns);
  const each = (to - from) / columns;
  if (each === 0) return "order";
  for (const at of start) counts[Math.min(columns - 1, Math.floor((at - from) / each))]!++;
  const fullest = counts.sort().subarray(-crowded);
  return fullest.reduce((sum, count) => sum + count, 0) > start.length / 2 ? "order" : "time";
}

/** The part of an axis that is shown. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** Everything, with a little room at both ends. */
export function whole({ from, to }: Axis): Window {
  const room = (to - from) * 0.01;
  return { from: from - room, to: to + room };
}

/** Moves or widens a window until it shows no more than there is, and not less than the least. */
export function fitted({ from, to }: Window, axis: Axis): Window {
  const all = whole(axis);
  const span = Math.min(Math.max(to - from, axis.least), all.to - all.from);
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - span / 2, all.from), all.to - span);
  return { from: start, to: start + span };
}

/** @param by a share of what is shown. */
export function panned({ from, to }: Window, by: number, axis: Axis): Window {
  const step = (to - from) * by;
  return fitted({ from: from + step, to: to + step }, axis);
}

/** @param factor below 1 shows less, larger. @param at what stays where it is, a share of the width. */
export function zoomed({ from, to }: Window, factor: number, at: number, axis: Axis): Window {
  const all = whole(axis);
  const span = Math.min(Math.max((to - from) * factor, axis.least), all.to - all.from);
  const fixed = from + (to - from) * at;
  return fitted({ from: fixed - span * at, to: fixed + span * (1 - at) }, axis);
}

/** A window in which a stretch takes the middle third. */
export function around(from: number, to: number, axis: Axis): Window {
  const span = Math.max((to - from) * 3, axis.least * 4);
  const middle = (from + to) / 2;
  return fitted({ from: middle - span / 2, to: middle + span / 2 }, axis);
}

/** A window as an address has it; nothing of one that shows everything. */
export function windowQuery({ from, to }: Window, axis: Axis): Record<string, string | undefined> {
  const all = whole(axis);
  const isAll = from <= all.from && to >= all.to;
  return {
    from: isAll ? undefined : trimmed(from),
    to: isAll ? undefined : trimmed(to),
  };
}

function trimmed(value: number): string {
  return `${Math.round(value * 100) / 100}`;
}

/** The same stretch, or its middle where it is too long, moved as little as possible until it shows. */
export function showing(window: Window, from: number, to: number, axis: Axis): Window {
  const span = window.to - window.from;
  const room = span * 0.05;
  if (from >= window.from && Math.min(to, from + span / 2) <= window.to) return window;
  if (from < window.from) return fitted({ from: from - room, to: from - room + span }, axis);
  const end = Math.min(to, from + span / 2) + room;
  return fitted({ from: end - span, to: end }, axis);
}
