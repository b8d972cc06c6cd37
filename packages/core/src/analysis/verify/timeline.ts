import {
  type NameId,
  PerfettoWriter,
  type TraceSink,
  type TrackId,
  TrackEventType,
} from "../../machine/perfetto.ts";
import type { Counterexample } from "./search.ts";

/** Nanoseconds that a move is drawn with: what counts is the order. */
const moveTime = 1000;

/** A counterexample as a Perfetto trace: a track for each who moves, a slice for each move, and at the end what is broken. */
export function writeCounterexample({ property, moves, roundFrom }: Counterexample, sink: TraceSink): void {
  const writer = new PerfettoWriter(sink);
  const actors = [...new Set(moves.map(({ actor }) => actor))].sort();
  const tracks = new Map(actors.map((actor, rank) => [actor, writer.track(actor, 0, rank + 1)]));
  const outcome = writer.track("what goes wrong", 0, 0);
  const number = writer.valueName("move");
  let time = 0;
  const slice = (track: TrackId, name: NameId, inner: readonly string[], move: number): void => {
    writer.event(TrackEventType.begin, time, track, name);
    writer.integer(number, move);
    writer.close();
    // What follows in the same move takes its second half.
    const names = inner.map((each) => writer.name(each));
    for (const [i, each] of names.entries()) {
      mark(TrackEventType.begin, time + moveTime * (0.5 + (0.4 * i) / names.length), track, each);
      mark(TrackEventType.end, time + moveTime * (0.5 + (0.4 * (i + 1)) / names.length), track, 0);
    }
    time += moveTime;
    mark(TrackEventType.end, time - 1, track, 0);
  };
  const mark = (type: TrackEventType, at: number, track: TrackId, name: NameId): void => {
    writer.event(type, at, track, name);
    writer.close();
  };
  for (const [i, { actor, step, rest = [] }] of moves.entries()) {
    if (i === roundFrom) mark(TrackEventType.instant, time, outcome, writer.name("the round begins"));
    const name = writer.name(step);
    slice(
      tracks.get(actor)!,
      name,
      rest.map((each) => each.step),
      i + 1,
    );
  }
  mark(TrackEventType.instant, time, outcome, writer.name(property));
  writer.finish();
}
