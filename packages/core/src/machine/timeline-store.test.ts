import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PerfettoWriter, TrackEventType } from "./perfetto.ts";
import { type SeenTrace, collect, readTrace } from "./perfetto/testbed.ts";
import type { TimelineData } from "./timeline-data.ts";
import { replayTimeline } from "./timeline-replay.ts";
import { TimelineStore } from "./timeline-store.ts";
import type { TimelineWriter } from "./timeline-writer.ts";

const { begin, end, instant } = TrackEventType;

/** What happens on a timeline: on one of three tracks, some time after what was before. */
interface Happening {
  readonly type: TrackEventType;
  readonly later: number;
  readonly track: number;
  readonly name: string;
  readonly flow: number;
  readonly lastFlow: number;
  readonly value: number;
}

function write(writer: TimelineWriter, happenings: readonly Happening[]): void {
  const group = writer.track("threads", 0, 1);
  const tracks = [writer.track("unit", 0, 2), writer.track("a", group, 1), writer.track("b", group, 2)];
  const value = writer.valueName("value");
  const address = writer.valueName("address");
  const open = tracks.map(() => 0);
  let time = 0;
  for (const { type, later, track, name, flow, lastFlow, value: amount } of happenings) {
    time += later;
    // An end of nothing is none.
    if (type === end && open[track] === 0) continue;
    if (type !== instant) open[track]! += type === begin ? 1 : -1;
    const id = type === end ? 0 : writer.name(name);
    writer.event(type, time, tracks[track]!, id);
    if (type !== end) {
      if (flow > 0) writer.flow(flow);
      if (lastFlow > 0) writer.lastFlow(lastFlow);
      if (amount < 0) writer.integer(value, amount);
      else if (amount > 0) writer.hex(address, amount, -amount);
    }
    writer.close();
  }
  writer.finish();
}

function kept(happenings: readonly Happening[], limit?: number): TimelineData {
  const store = new TimelineStore(limit);
  write(store, happenings);
  return store.data();
}

function traceOf(give: (writer: TimelineWriter) => void): SeenTrace {
  const trace = collect();
  give(new PerfettoWriter((bytes) => trace.sink(bytes)));
  return readTrace(trace.bytes());
}

const happening: fc.Arbitrary<Happening> = fc.record({
  type: fc.constantFrom(begin, begin, end, end, instant),
  later: fc.nat(3),
  track: fc.nat(2),
  name: fc.constantFrom("call", "MSI write", "posted"),
  flow: fc.nat(4),
  lastFlow: fc.nat(1),
  value: fc.integer({ min: -5, max: 5 }),
});
const happenings = fc.array(happening, { maxLength: 80 });

function happened(type: TrackEventType, track: number, later = 0, rest: Partial<Happening> = {}): Happening {
  return { type, track, later, name: "call", flow: 0, lastFlow: 0, value: 0, ...rest };
}

describe("a timeline in columns", () => {
  test("writes the trace that would have been written at once, track by track", () => {
    fc.assert(
      fc.property(happenings, (all) => {
        const direct = traceOf((writer) => write(writer, all));
        const late = traceOf((writer) => replayTimeline(kept(all), writer));
        expect(late.tracks).toEqual(direct.tracks);
        for (const { name } of direct.tracks) {
          const on = ({ events }: SeenTrace) => events.filter(({ track }) => track === name);
          expect(on(late)).toEqual(on(direct));
        }
      }),
    );
  });

  test("has each row in one lane, and no two of a lane at a time", () => {
    fc.assert(
      fc.property(happenings, (all) => {
        const data = kept(all);
        expect([...data.rows].sort((a, b) => a - b)).toEqual([...data.rows.keys()]);
        for (const { track, depth, from, to } of data.lanes) {
          for (let i = from; i < to; i++) {
            const row = data.rows[i]!;
            expect([data.track[row], data.depth[row]]).toEqual([track, depth]);
            expect(data.busy[i + 1]! - data.busy[i]!).toBe(data.end[row]! - data.start[row]!);
            if (i === from) continue;
            expect(data.first[row]!).toBeGreaterThan(data.last[data.rows[i - 1]!]!);
            expect(data.start[row]!).toBeGreaterThanOrEqual(data.end[data.rows[i - 1]!]!);
          }
        }
      }),
    );
  });

  test("counts calls on threads, which stand under the group of that name", () => {
    expect(kept([]).tracks.map(({ name, thread }) => [name, thread])).toEqual([
      ["threads", false],
      ["unit", false],
      ["a", true],
      ["b", true],
    ]);
  });

  test("ends what was not ended with the last event", () => {
    const data = kept([
      happened(begin, 0, 5),
      happened(begin, 0, 5),
      happened(end, 0, 5),
      happened(instant, 1, 5),
    ]);
    expect([...data.start]).toEqual([5, 10, 20]);
    expect([...data.end]).toEqual([20, 15, 20]);
    expect([...data.first]).toEqual([0, 1, 3]);
    expect([...data.last]).toEqual([data.events, 2, 3]);
    expect({ from: data.from, to: data.to }).toEqual({ from: 5, to: 20 });
  });

  test("has the points of a flow one behind the other", () => {
    const data = kept([
      happened(instant, 0, 0, { flow: 2 }),
      happened(instant, 0, 0, { flow: 1 }),
      happened(instant, 1, 0, { lastFlow: 1, flow: 3 }),
      happened(instant, 2, 0, { flow: 2 }),
    ]);
    expect([...data.flowId]).toEqual([1, 1, 2, 2, 3]);
    expect([...data.flowRow]).toEqual([1, 2, 0, 3, 2]);
    expect([...data.flowLast]).toEqual([0, 1, 0, 0, 0]);
    expect([...data.flowByRow].map((point) => data.flowRow[point])).toEqual([0, 1, 2, 2, 3]);
  });

  test("keeps the first rows up to its limit, with their ends, and counts the others", () => {
    const all = [
      happened(begin, 0, 1),
      happened(begin, 0, 1, { value: 3 }),
      happened(begin, 0, 1, { value: 4, flow: 1 }),
      happened(instant, 1, 1, { value: 4, flow: 1 }),
      happened(end, 0, 1),
      happened(end, 0, 1),
      happened(end, 0, 1),
    ];
    const data = kept(all, 2);
    expect([...data.end]).toEqual([7, 6]);
    expect([...data.depth]).toEqual([0, 1]);
    expect({ leftOut: data.leftOut, flows: data.flowId.length, values: [...data.valueLow] }).toEqual({
      leftOut: 2,
      flows: 0,
      values: [3],
    });
  });

  test("of nothing is empty", () => {
    const data = new TimelineStore().data();
    expect({ rows: data.start.length, lanes: data.lanes, from: data.from, to: data.to }).toEqual({
      rows: 0,
      lanes: [],
      from: 0,
      to: 0,
    });
  });
});
