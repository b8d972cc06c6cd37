import * as fc from "fast-check";
import { type TimelineData, TimelineStore } from "@intremap/core";
import { describe, expect, test } from "vitest";
import {
  type Scale,
  axisOf,
  fitted,
  panned,
  showing,
  usualScale,
  whole,
  zoomed,
} from "../src/views/timeline/axis.ts";
import { layoutOf, laneAt, laneHeight, laneTop } from "../src/views/timeline/layout.ts";
import {
  callsAt,
  enclosing,
  firstEndingAfter,
  firstStartingFrom,
  flowRows,
  flowsOf,
  foundBefore,
  inside,
  placeOf,
  rankOf,
  rowAt,
} from "../src/views/timeline/queries.ts";
import { paint } from "../src/views/timeline/paint.ts";
import type { Tints } from "../src/views/timeline/palette.ts";
import { pathOf } from "../src/views/timeline/path-link.ts";
import { savedName, savedPart } from "../src/views/timeline/saved-file.ts";
import { markStep, timeText } from "../src/views/timeline/time-text.ts";

/** TrackEvent.Type. */
const [begin, end, instant] = [1, 2, 3] as const;

interface Happening {
  readonly type: typeof begin | typeof end | typeof instant;
  readonly later: number;
  readonly track: number;
  readonly flow: number;
}

/** Two threads and a unit. */
function kept(happenings: readonly Happening[]): TimelineData {
  const store = new TimelineStore();
  const threads = store.track("threads", 0, 1);
  const tracks = [store.track("a", threads, 0), store.track("b", threads, 1), store.track("unit", 0, 0)];
  const open = [0, 0, 0];
  let time = 0;
  for (const { type, later, track, flow } of happenings) {
    time += later;
    if (type === end && open[track] === 0) continue;
    if (type !== instant) open[track]! += type === begin ? 1 : -1;
    store.event(type, time, tracks[track]!, type === end ? 0 : store.name("x"));
    if (flow > 0 && type !== end) store.flow(flow);
    store.close();
  }
  return store.data();
}

const timelines = fc
  .array(
    fc.record({
      type: fc.constantFrom(begin, begin, end, end, instant),
      later: fc.nat(3),
      track: fc.nat(2),
      flow: fc.nat(3),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map(kept)
  .filter(({ start }) => start.length > 0);
const scales = fc.constantFrom<Scale>("time", "order");

/** Rows that are open when a row begins, by looking at every one. */
function openDuring(data: TimelineData, row: number): number[] {
  return [...data.start.keys()].filter(
    (one) =>
      data.first[one]! < data.last[one]! &&
      data.first[one]! <= data.first[row]! &&
      data.last[one]! >= data.first[row]!,
  );
}

describe("what is asked of a timeline is what looking at every row says:", () => {
  test("places in a lane", () => {
    fc.assert(
      fc.property(timelines, scales, fc.nat(100), (data, scale, x) => {
        const axis = axisOf(data, scale);
        for (const lane of data.lanes) {
          const rows = [...data.rows.subarray(lane.from, lane.to)];
          const ending = rows.findIndex((row) => axis.ends[row]! + axis.widen > x);
          expect(firstEndingAfter(data, lane, axis, x)).toBe(ending < 0 ? lane.to : lane.from + ending);
          const starting = rows.findIndex((row) => axis.starts[row]! >= x);
          expect(firstStartingFrom(data.rows, axis, lane.from, lane.to, x)).toBe(
            starting < 0 ? lane.to : lane.from + starting,
          );
          const away = (row: number): number =>
            Math.max(axis.starts[row]! - x, x - axis.ends[row]! - axis.widen, 0);
          const nearest = Math.min(...rows.map(away));
          const found = rowAt(data, lane, axis, x, 1.5);
          expect(found < 0 ? Infinity : away(found)).toBe(nearest <= 1.5 ? nearest : Infinity);
        }
      }),
    );
  });

  test("what a row stands in, and what stands in it", () => {
    fc.assert(
      fc.property(timelines, (data) => {
        for (const row of data.start.keys()) {
          const outer = openDuring(data, row).filter(
            (one) => one !== row && data.track[one] === data.track[row],
          );
          expect(enclosing(data, row)).toEqual(outer.reverse());
          for (const one of enclosing(data, row)) expect(inside(data, one)).toContain(row);
          expect(data.rows[placeOf(data, row)]).toBe(row);
        }
      }),
    );
  });

  test("the calls in which a row happened: those of its thread, or of the one that called last", () => {
    fc.assert(
      fc.property(timelines, (data) => {
        for (const row of data.start.keys()) {
          const calls = openDuring(data, row).filter((one) => data.tracks[data.track[one]!]!.thread);
          const thread = data.tracks[data.track[row]!]!.thread
            ? data.track[row]
            : data.track[calls.at(-1) ?? 0];
          expect(callsAt(data, row)).toEqual(calls.filter((one) => data.track[one] === thread).reverse());
        }
      }),
    );
  });

  test("flows", () => {
    fc.assert(
      fc.property(timelines, (data) => {
        for (const id of [1, 2, 3]) {
          const rows = flowRows(data, id);
          for (const row of rows) expect(flowsOf(data, row)).toEqual([{ id, rows, ended: false }]);
        }
        const points = [...data.start.keys()].reduce((sum, row) => sum + flowsOf(data, row).length, 0);
        expect(points).toBe(data.flowId.length);
      }),
    );
  });
});

test("how many rows a search finds before a place is what counting says", () => {
  fc.assert(
    fc.property(timelines, fc.nat(2), (data, wanted) => {
      const tracks = Uint8Array.from(data.tracks, (_, track) => (track === wanted + 1 ? 1 : 0));
      const before = foundBefore(data, new Uint8Array(data.names.length), tracks);
      const found = [...data.rows].map((row) => data.track[row] === wanted + 1);
      expect([...before]).toEqual(
        Array.from({ length: found.length + 1 }, (_, place) => found.slice(0, place).filter(Boolean).length),
      );
    }),
  );
});

/** An instant at each of some times, on the unit's track. */
function instantsAt(times: readonly number[]): TimelineData {
  return kept(
    times.map((time, i) => ({ type: instant, later: time - (times[i - 1] ?? 0), track: 2, flow: 0 })),
  );
}

test.each<[what: string, times: readonly number[], scale: Scale]>([
  ["at one time", [0, 0, 0], "order"],
  ["at the begin and the end", [0, 0, 0, 500, 1000, 1000], "order"],
  ["spread", [0, 100, 200, 300, 400, 500, 1000], "time"],
])("a timeline of what happens %s is shown by what tells it apart", (_, times, scale) => {
  expect(usualScale(instantsAt(times))).toBe(scale);
});

test("what is drawn together shows whether a search finds any of it", () => {
  const data = instantsAt([
    ...Array.from({ length: 50 }, () => 0),
    ...Array.from({ length: 50 }, () => 1000),
  ]);
  const rects: { readonly x: number; readonly style: unknown; readonly alpha: number }[] = [];
  const canvas = {
    fillStyle: "",
    globalAlpha: 1,
    fillRect(x: number) {
      rects.push({ x, style: this.fillStyle, alpha: this.globalAlpha });
    },
  };
  const context = new Proxy(canvas, {
    get: (target, key) => Reflect.get(target, key) ?? (() => {}),
  }) as unknown as CanvasRenderingContext2D;
  const colours = {
    paper: "paper",
    raised: "raised",
    line: "line",
    ink: "ink",
    faint: "faint",
    accent: "accent",
    mark: "mark",
    bad: "bad",
  };
  const tints: Tints = { solid: "solid", dense: ["dense", "dense", "dense"], slices: ["slice"] };
  const axis = axisOf(data, "time");
  const before = Int32Array.from({ length: 101 }, (_, place) => Math.max(0, place - 50));
  paint(context, {
    data,
    axis,
    window: whole(axis),
    layout: layoutOf(data, new Set()),
    palette: { ...colours, font: "", advance: 7, kinds: Array.from({ length: 8 }, () => tints) },
    nameKinds: Int8Array.from(data.names, () => -1),
    hits: { names: new Uint8Array(data.names.length), tracks: new Uint8Array(data.tracks.length), before },
    selected: -1,
    flows: [],
    gutter: 0,
    width: 1000,
    height: 400,
    scrolled: 0,
  });
  const drawn = rects.filter(({ style }) => style === "dense" || style === "solid");
  expect(drawn.map(({ style, alpha }) => [style, alpha])).toEqual([
    ["dense", 0.3],
    ["solid", 1],
  ]);
});

const posted = { kind: "scenario", scenario: "passthrough-posted", variant: undefined, values: {} } as const;

test("Path is offered for a moment at which one thing alone happened", () => {
  const data = instantsAt([0, 0, 10, 20, 20]);
  const times = [...data.start.keys()].map((row) => pathOf(data, row, [], posted, null)?.query["at"]);
  expect(times).toEqual([undefined, undefined, "10", undefined, undefined]);
});

describe("a file of a timeline", () => {
  test.each([
    [posted, "passthrough-posted.pftrace"],
    [{ ...posted, variant: "on-amd" }, "passthrough-posted-on-amd.pftrace"],
    [{ ...posted, values: { vectors: 2 } }, "passthrough-posted-vectors-2.pftrace"],
    [{ kind: "file", name: "boot.log.xz", size: 1 }, "boot.pftrace"],
    [{ kind: "file", name: "trace", size: 1 }, "trace.pftrace"],
  ] as const)("of %j is called %s", (source, name) => {
    expect(savedName(source)).toBe(name);
  });

  test("that is cut says so, and how to have all of it", () => {
    const store = new TimelineStore(2);
    const track = store.track("unit");
    for (let i = 0; i < 5; i++) {
      store.event(instant, i, track, store.name("x"));
      store.close();
    }
    const data = store.data();
    expect(savedPart(data, { ...posted, values: { vectors: 2 } })).toBe(
      "the first 2 of 5 events; all: intremap run passthrough-posted --vectors 2 --timeline FILE",
    );
    expect(savedPart(data, { kind: "file", name: "trace", size: 1 })).toBe("the first 2 of 5 events");
    expect(savedPart(instantsAt([0]), posted)).toBe("");
  });
});

describe("a window", () => {
  const windows = fc.tuple(
    fc.double({ min: -50, max: 150, noNaN: true }),
    fc.double({ min: 0.1, max: 300, noNaN: true }),
  );

  test("never leaves what there is, however it is panned and zoomed", () => {
    fc.assert(
      fc.property(
        timelines,
        scales,
        windows,
        fc.double({ min: -3, max: 3, noNaN: true }),
        fc.double({ min: 0.01, max: 50, noNaN: true }),
        (data, scale, [from, span], by, factor) => {
          const axis = axisOf(data, scale);
          const all = whole(axis);
          for (const window of [
            fitted({ from, to: from + span }, axis),
            panned({ from, to: from + span }, by, axis),
            zoomed({ from, to: from + span }, factor, 0.3, axis),
          ]) {
            expect(window.from).toBeGreaterThanOrEqual(all.from - 1e-6);
            expect(window.to).toBeLessThanOrEqual(all.to + 1e-6);
            expect(window.to).toBeGreaterThan(window.from);
          }
        },
      ),
    );
  });

  test("moves to what is selected only if that is out of sight", () => {
    const data = kept(Array.from({ length: 100 }, () => ({ type: instant, later: 10, track: 0, flow: 0 })));
    const axis = axisOf(data, "time");
    const window = { from: 100, to: 200 };
    expect(showing(window, 150, 150, axis)).toBe(window);
    const later = showing(window, 500, 500, axis);
    expect([later.from < 500, later.to > 500, Math.round(later.to - later.from)]).toEqual([true, true, 100]);
    const earlier = showing(window, 50, 50, axis);
    expect([earlier.from < 50, earlier.to > 50]).toEqual([true, true]);
  });
});

describe("the layout", () => {
  test("puts each lane of an open track at a height of its own, and a fold takes all but the first away", () => {
    fc.assert(
      fc.property(timelines, (data) => {
        const layout = layoutOf(data, new Set());
        const tops = data.lanes.map((_, lane) => laneTop(layout, lane)!);
        expect(new Set(tops).size).toBe(data.lanes.length);
        for (const [lane, top] of tops.entries()) expect(laneAt(layout, top + laneHeight / 2)).toBe(lane);
        const folded = layoutOf(data, new Set([1]));
        for (const [lane, { track, depth }] of data.lanes.entries()) {
          expect(laneTop(folded, lane) === null).toBe(track === 1 && depth > 0);
        }
        const closed = layoutOf(data, new Set([0]));
        for (const [lane, { track }] of data.lanes.entries()) {
          expect(laneTop(closed, lane) === null).toBe(track !== 3);
        }
      }),
    );
  });
});

test("times are told in the unit that fits, as exactly as is wanted", () => {
  expect([timeText(0, 1), timeText(80, 0.1), timeText(1500, 1), timeText(27_320_000, 2000, true)]).toEqual([
    "0 ns",
    "80 ns",
    "1.5 µs",
    "27.320 ms",
  ]);
  expect([0.3, 1, 1.1, 21, 70].map(markStep)).toEqual([0.5, 1, 2, 50, 100]);
  expect([3, 5, 6].map((row) => rankOf(Int32Array.of(1, 3, 5), row))).toEqual([1, 2, 3]);
});
