import type { TimelineData } from "@intremap/core";

/** Pixels. */
export const laneHeight = 17;
const headHeight = 22;
const gap = 4;

/** A track as it is laid out: its head at the left, its lanes beside. */
export interface LaidTrack {
  readonly track: number;
  readonly name: string;
  /** 0 for a group, whose head takes a row of its own. */
  readonly level: number;
  readonly top: number;
  readonly height: number;
  readonly closed: boolean;
  /** Numbers in `data.lanes`, by depth. */
  readonly lanes: readonly number[];
  /** The group that it stands in, which says how it is coloured. */
  readonly group: string;
  /** Slices and instants on it, and on those under it. */
  readonly count: number;
}

export interface Layout {
  readonly tracks: readonly LaidTrack[];
  readonly height: number;
}

/** Lays out the tracks that have events, each group under its head. @param closed numbers of tracks that are folded. */
export function layoutOf(data: TimelineData, closed: ReadonlySet<number>): Layout {
  const lanes: number[][] = data.tracks.map(() => []);
  const counts = data.tracks.map(() => 0);
  for (const [i, { track, from, to }] of data.lanes.entries()) {
    lanes[track]!.push(i);
    for (let at = track; at >= 0; at = data.tracks[at]!.parent) counts[at]! += to - from;
  }
  const under = new Map<number, number[]>();
  for (const [number, { parent }] of data.tracks.entries()) {
    if (counts[number]! > 0) under.set(parent, [...(under.get(parent) ?? []), number]);
  }
  const laid: LaidTrack[] = [];
  let top = 0;
  const lay = (number: number, level: number, group: string): void => {
    const { name } = data.tracks[number]!;
    const inner = (under.get(number) ?? []).sort(
      (left, right) => data.tracks[left]!.rank - data.tracks[right]!.rank || left - right,
    );
    const folded = closed.has(number);
    const shown = folded ? lanes[number]!.slice(0, 1) : lanes[number]!;
    const height = inner.length > 0 && shown.length === 0 ? headHeight : shown.length * laneHeight + gap;
    laid.push({
      track: number,
      name,
      level,
      top,
      height,
      closed: folded,
      lanes: shown,
      group,
      count: counts[number]!,
    });
    top += height;
    if (!folded) for (const one of inner) lay(one, level + 1, group);
  };
  const roots = (under.get(-1) ?? []).sort(
    (left, right) => data.tracks[left]!.rank - data.tracks[right]!.rank || left - right,
  );
  for (const root of roots) lay(root, 0, data.tracks[root]!.name);
  return { tracks: laid, height: top };
}

/** Where a lane lies; null where its track is folded away. */
export function laneTop({ tracks }: Layout, lane: number): number | null {
  for (const { lanes, top } of tracks) {
    const at = lanes.indexOf(lane);
    if (at >= 0) return top + at * laneHeight;
  }
  return null;
}

/** The lane at a height, as a number in `data.lanes`; -1 for none. */
export function laneAt({ tracks }: Layout, y: number): number {
  const one = tracks.find(({ top, height }) => y >= top && y < top + height);
  return one?.lanes[Math.floor((y - one.top) / laneHeight)] ?? -1;
}
