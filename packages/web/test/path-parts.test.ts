import type { Touched, WalkStep } from "@intremap/core";
import { describe, expect, test } from "vitest";
import { layoutNamed } from "../src/parts/layouts.ts";
import { cut, geometryOf, letter, wrapped } from "../src/views/path/diagram-geometry.ts";
import { shownAt, stopStates } from "../src/views/path/stop-state.ts";
import { type Telling, arrivalRow, neighbour, rowAt, stepAt, walkOf } from "../src/views/path/telling.ts";

function step(more: Partial<WalkStep>): WalkStep {
  return {
    at: 0,
    episode: 0,
    stop: "device",
    actor: "nic",
    title: "nic sends a message",
    detail: "",
    verdict: null,
    rule: null,
    section: null,
    touched: [],
    thread: null,
    stack: [],
    request: null,
    ...more,
  };
}

function telling(steps: readonly WalkStep[]): Telling {
  const episodes = [0, 1].map((at) => ({ at, what: `episode ${at}`, details: [] }));
  return { name: "", title: "", steps, episodes, leftOut: 0, timed: true, timeline: null };
}

const descriptor = (before: bigint | null, value: bigint): Touched => ({
  what: "descriptor of guest/0",
  layout: "posted-descriptor",
  before,
  value,
  fields: ["pir", "on"],
});

const entry = (layout: string, value: bigint): Touched => ({
  what: "entry",
  layout,
  before: null,
  value,
  fields: [],
});

test.each(Object.entries(shownAt))("the diagram shows fields that %s has", (name, [, fields]) => {
  expect(Object.keys(layoutNamed(name)!.fields)).toEqual(expect.arrayContaining([...fields]));
});

describe("a walk", () => {
  const steps = [
    step({ episode: 0, at: 0 }),
    step({ episode: 0, at: 10, request: 1 }),
    step({ episode: 1, at: 10, request: 1 }),
    step({ episode: 1, at: 30, request: 2 }),
    step({ episode: 1, at: 30, request: 1 }),
  ];
  const walk = walkOf([telling(steps)], []);

  test("knows where its episodes and interrupts begin, each once", () => {
    expect(walk.episodeStarts).toEqual([0, 2]);
    expect(walk.interruptStarts).toEqual([1, 3]);
    expect(neighbour(walk.interruptStarts, 1, 1)).toBe(3);
    expect(neighbour(walk.interruptStarts, 3, 1)).toBe(3);
    expect(neighbour(walk.episodeStarts, 4, -1)).toBe(2);
    expect(neighbour(walk.episodeStarts, 0, -1)).toBe(0);
    expect(neighbour([], 3, 1)).toBe(3);
  });

  test("finds the last step that does not lie after a moment", () => {
    expect([0, 10, 29, 30, 99].map((at) => rowAt(walk, at))).toEqual([0, 2, 2, 4, 4]);
  });

  test("is arrived at where the address asks for, or says what it does not have", () => {
    expect(arrivalRow(walk, { request: "2" })).toEqual({ row: 3, missed: null });
    expect(arrivalRow(walk, { at: "29" })).toEqual({ row: 2, missed: null });
    expect(arrivalRow(walk, {})).toEqual({ row: 0, missed: null });
    expect(arrivalRow(walk, { request: "77" })).toEqual({
      row: 0,
      missed: "No step that is kept is of interrupt 77",
    });
  });

  test("shows of a run that does nothing in a row what it did last", () => {
    const pairs = [
      [0, null],
      [1, 0],
      [null, 1],
      [2, null],
    ] as const;
    const two = walkOf([telling(steps), telling(steps)], pairs);
    expect(stepAt(two, 1, 0)).toBeNull();
    expect(stepAt(two, 0, 2)).toEqual({ index: 1, here: false });
    expect(stepAt(two, 1, 2)).toEqual({ index: 1, here: true });
  });
});

describe("the stops of the diagram", () => {
  const posted = (1n << 0x20n) | (1n << 256n);
  const steps = [
    step({ request: 1 }),
    step({ stop: "descriptor", actor: "guest/0", request: 1, touched: [descriptor(0n, posted)] }),
    step({ request: 2 }),
    step({ stop: "entry", actor: "dmar0", request: 2, verdict: "blocked here" }),
  ];

  test("show the vectors and bits of a descriptor, and which were just written", () => {
    const { fields, phase } = stopStates(steps, 1).get("descriptor")!;
    expect(phase).toBe("now");
    expect(fields.slice(0, 3)).toEqual([
      { name: "pir", value: "20h", written: true },
      { name: "on", value: "1", written: true },
      { name: "sn", value: "0", written: false },
    ]);
  });

  test("keep what an earlier interrupt left, and say that this one has not come there", () => {
    const states = stopStates(steps, 3);
    expect(states.get("descriptor")!.phase).toBe("earlier");
    expect(states.get("descriptor")!.fields[0]).toEqual({ name: "pir", value: "20h", written: false });
    expect(states.get("device")!.phase).toBe("reached");
    expect(states.get("entry")!.blocked).toBe(true);
    expect(states.get("vcpu")!.last).toBeNull();
  });

  test("show a structure however long ago it was touched, and of one form of an entry the last", () => {
    const long = [
      step({ stop: "descriptor", touched: [descriptor(null, posted)] }),
      step({ stop: "entry", touched: [entry("irte-remapped", 0x31_0001n)] }),
      step({ stop: "entry", touched: [entry("irte-posted", 0x51_8001n)] }),
      ...Array.from({ length: 20_000 }, () => step({})),
    ];
    const states = stopStates(long, long.length - 1);
    expect(states.get("descriptor")!.fields[0]).toEqual({ name: "pir", value: "20h", written: false });
    expect(states.get("entry")!.fields.map(({ name, value }) => [name, value])).toContainEqual([
      "vv",
      "0x51",
    ]);
    expect(states.get("entry")!.fields.map(({ name }) => name)).not.toContain("v");
    expect(states.get("entry")!.last).toBe(2);
    expect(stopStates(long, -1).get("entry")!.last).toBeNull();
  });

  test("lie within the width, and their texts within them", () => {
    const sizes = [980, 1500].flatMap((width) => [70, 98].map((high) => [width, high] as const));
    for (const [width, high] of sizes) {
      const { boxes, height } = geometryOf(width, high);
      for (const box of Object.values(boxes)) {
        expect(box.x + box.width).toBeLessThanOrEqual(width);
        expect(box.y + box.height).toBeLessThanOrEqual(height);
      }
    }
    expect(cut("abcdef", 4 * letter)).toBe("abc…");
    expect(wrapped("one two three four", 8 * letter, 2)).toEqual(["one two", "three …"]);
  });
});
