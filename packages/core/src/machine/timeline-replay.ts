import { type TrackId, TrackEventType } from "./perfetto.ts";
import type { TimelineData } from "./timeline-data.ts";
import type { TimelineWriter } from "./timeline-writer.ts";

/** Writes a timeline that was kept once more: each track's events in their order, all begins in theirs. */
export function replayTimeline(data: TimelineData, writer: TimelineWriter): void {
  const { tracks, start, end, last, track, depth, name, events } = data;
  const trackIds: TrackId[] = [];
  for (const { name: text, parent, rank } of tracks) {
    trackIds.push(writer.track(text, parent < 0 ? 0 : trackIds[parent]!, rank));
  }
  const names = data.names.map((text) => writer.name(text));
  const valueNames = data.valueNames.map((text) => writer.valueName(text));
  const open: number[][] = tracks.map(() => []);
  /** Ends the slices of a track in which the next one does not stand. */
  const endBelow = (at: number, level: number): void => {
    const slices = open[at]!;
    while (slices.length > level) {
      const row = slices.pop()!;
      if (last[row] === events) continue;
      writer.event(TrackEventType.end, end[row]!, trackIds[at]!, 0);
      writer.close();
    }
  };
  for (let row = 0, flow = 0; row < start.length; row++) {
    const at = track[row]!;
    endBelow(at, depth[row]!);
    const instant = data.first[row] === last[row];
    if (!instant) open[at]!.push(row);
    writer.event(
      instant ? TrackEventType.instant : TrackEventType.begin,
      start[row]!,
      trackIds[at]!,
      names[name[row]!]!,
    );
    for (; flow < data.flowByRow.length; flow++) {
      const point = data.flowByRow[flow]!;
      if (data.flowRow[point] !== row) break;
      if (data.flowLast[point] === 1) writer.lastFlow(data.flowId[point]!);
      else writer.flow(data.flowId[point]!);
    }
    for (let i = data.valueFrom[row]!; i < data.valueFrom[row + 1]!; i++) {
      const valueName = valueNames[data.valueName[i]!]!;
      if (data.valueHex[i] === 1) writer.hex(valueName, data.valueLow[i]!, data.valueHigh[i]!);
      else writer.integer(valueName, data.valueLow[i]!);
    }
    writer.close();
  }
  for (const at of tracks.keys()) endBelow(at, 0);
  writer.finish();
}
