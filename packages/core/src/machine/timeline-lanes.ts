import type { TimelineData, TimelineLane } from "./timeline-data.ts";

type Columns = Pick<TimelineData, "start" | "end" | "first" | "last" | "track" | "depth">;

/** Sorts rows into lanes: by track, by depth, and then as they began. */
export function laneColumns({
  start,
  end,
  first,
  last,
  track,
  depth,
}: Columns): Pick<TimelineData, "lanes" | "rows" | "busy" | "busyEvents"> {
  const count = start.length;
  const counts = new Map<number, number>();
  const keyOf = (row: number): number => track[row]! * 65_536 + depth[row]!;
  for (let row = 0; row < count; row++) {
    const key = keyOf(row);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const lanes: TimelineLane[] = [];
  const next = new Map<number, number>();
  let at = 0;
  for (const key of [...counts.keys()].sort((left, right) => left - right)) {
    const to = at + counts.get(key)!;
    lanes.push({ track: Math.floor(key / 65_536), depth: key % 65_536, from: at, to });
    next.set(key, at);
    at = to;
  }
  const rows = new Int32Array(count);
  for (let row = 0; row < count; row++) {
    const key = keyOf(row);
    const place = next.get(key)!;
    rows[place] = row;
    next.set(key, place + 1);
  }
  const busy = new Float64Array(count + 1);
  const busyEvents = new Float64Array(count + 1);
  for (let i = 0; i < count; i++) {
    const row = rows[i]!;
    busy[i + 1] = busy[i]! + (end[row]! - start[row]!);
    busyEvents[i + 1] = busyEvents[i]! + (last[row]! - first[row]!);
  }
  return { lanes, rows, busy, busyEvents };
}
