import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Exploration, Search, type SearchOptions, explore, joinSearch } from "./search.ts";
import type { World } from "./world.ts";

/** Which state leads where, by number; the first is where it begins. */
interface Graph {
  readonly next: readonly (readonly number[])[];
  readonly wrong: readonly boolean[];
}

const most = 48;
const graphs: fc.Arbitrary<Graph> = fc.integer({ min: 1, max: most }).chain((states) =>
  fc.record({
    next: fc.array(fc.array(fc.nat(states - 1), { maxLength: 4 }), { minLength: states, maxLength: states }),
    wrong: fc.array(
      fc.integer({ max: 19 }).map((n) => n === 0),
      { minLength: states, maxLength: states },
    ),
  }),
);

/** Graphs in which moves lead to later states only: nothing goes round. */
const orders: fc.Arbitrary<Graph> = graphs.map(({ next }) => ({
  next: next.map((to, from) => to.map((state) => Math.max(from, state))),
  wrong: next.map(() => false),
}));

const properties = ["wrong state", "endless round"];

/** How the words of a state are put together: its number is spread over words 1 and 3, digit by digit, and 5. */
type Layout = "runs" | "parts" | "packed";

function worldOf({ next, wrong }: Graph, layout: Layout): World {
  const words = new Int32Array(7);
  const write = (state: number): void => {
    words[1] = state % 4;
    words[3] = -(Math.floor(state / 4) % 4);
    words[5] = Math.floor(state / 16) << 20;
  };
  const state = (): number => words[1]! + 4 * -words[3]! + 16 * (words[5]! >> 20);
  write(0);
  return {
    words,
    live: [1, 3, 5],
    ...(layout !== "runs" && { parts: [[3], [1, 5]] }),
    ...(layout === "packed" && {
      packs: [true, false],
      pack: () => -words[3]!,
      unpack: (_part, packed) => (words[3] = -packed),
    }),
    properties,
    endless: properties[1]!,
    mostMoves: 4,
    moves: (codes) => next[state()]!.map((_, i) => (codes[i] = i + 5)).length,
    play: (code) => write(next[state()]![code - 5]!),
    wrong: () => Number(wrong[state()]),
    describe: (code) => ({
      actor: "graph",
      step: String(next[state()]![code - 5]),
      routine: String(state()),
      does: "",
    }),
  };
}

interface Reference {
  readonly states: number;
  readonly transitions: number;
  /** Moves to the nearest wrong state, if there is one. */
  readonly toWrong: number | undefined;
  readonly goesRound: boolean;
}

/** The same, as plainly as it can be said. */
function referenceOf({ next, wrong }: Graph): Reference {
  const depths = new Map([[0, 0]]);
  for (const [state, depth] of depths) {
    for (const to of next[state]!) if (!depths.has(to)) depths.set(to, depth + 1);
  }
  const reached = [...depths.keys()];
  const reaches = (from: number, to: number): boolean => {
    const seen = new Set(next[from]!.filter((state) => state !== from));
    for (const state of seen) for (const each of next[state]!) if (each !== state) seen.add(each);
    return seen.has(to);
  };
  return {
    states: reached.length,
    transitions: reached.reduce((sum, state) => sum + next[state]!.length, 0),
    toWrong: reached.filter((state) => wrong[state]).map((state) => depths.get(state)!)[0],
    goesRound: reached.some((state) => reaches(state, state)),
  };
}

/** What is told leads from the beginning to what is said to be there. */
function checkPath({ counterexample }: Exploration, { next, wrong }: Graph): void {
  const { moves, property, roundFrom } = counterexample!;
  const states = [0, ...moves.map(({ step }) => Number(step))];
  for (const [i, { routine }] of moves.entries()) {
    expect(Number(routine)).toBe(states[i]);
    expect(next[states[i]!]).toContain(states[i + 1]);
  }
  const end = states.at(-1)!;
  if (property === properties[0]) expect([wrong[end], roundFrom]).toEqual([true, null]);
  else {
    expect(roundFrom).toBeLessThan(moves.length - 1);
    expect(states[roundFrom!]).toBe(end);
  }
}

const small = { mostBytes: 2 ** 18 };

describe("a search finds what a plain one finds:", () => {
  const variants: [string, Layout, SearchOptions][] = [
    ["words in runs", "runs", small],
    ["words in parts", "parts", small],
    ["parts that the world packs", "packed", small],
    ["hashes that are all the same", "parts", { ...small, hashMask: 0 }],
    ["hashes of two kinds", "packed", { ...small, hashMask: 1 }],
  ];

  test.each(variants)("%s", (_, layout, options) => {
    fc.assert(
      fc.property(fc.oneof(graphs, orders), (graph) => {
        const { states, transitions, toWrong, goesRound } = referenceOf(graph);
        const found = explore(worldOf(graph, layout), options);
        expect(found.stopped).toBeNull();
        expect(found.exhausted).toBe(found.counterexample === null);
        if (toWrong !== undefined) {
          expect(found.counterexample?.property).toBe(properties[0]);
          expect(found.counterexample!.moves).toHaveLength(toWrong);
        } else expect(found).toMatchObject({ states, transitions });
        if (toWrong === undefined)
          expect(found.counterexample?.property).toBe(goesRound ? properties[1] : undefined);
        if (found.counterexample !== null) checkPath(found, graph);
      }),
      { numRuns: 300 },
    );
  });

  test("properties that are not asked for do not count", () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const { states, transitions } = referenceOf(graph);
        const found = explore(worldOf(graph, "parts"), { ...small, heeded: [] });
        expect(found).toMatchObject({ states, transitions, exhausted: true, counterexample: null });
      }),
    );
  });
});

function outcome({ exhausted, counterexample }: Exploration) {
  return [exhausted, counterexample?.property];
}

test("several walkers come to the same as one", () => {
  fc.assert(
    fc.property(fc.oneof(graphs, orders), fc.integer({ min: 2, max: 4 }), (graph, walkers) => {
      const search = new Search(worldOf(graph, "packed"), { ...small, walkers });
      const crew = Array.from({ length: walkers }, (_, i) =>
        joinSearch(worldOf(graph, "packed"), search.shares, i + 1),
      );
      const tasks = search.run();
      let task = tasks.next();
      while (task.done !== true) {
        const { value } = task;
        task = tasks.next(
          crew.map((walker, i) => {
            const share =
              value.kind === "peel"
                ? { ...value, states: value.states.filter((_, k) => k % walkers === i) }
                : value;
            return walker.walk(share, Infinity, () => 0);
          }),
        );
      }
      const alone = explore(worldOf(graph, "packed"), small);
      expect(outcome(task.value)).toEqual(outcome(alone));
      const { counterexample } = alone;
      if (counterexample?.property === properties[0]) {
        expect(task.value.counterexample!.moves).toHaveLength(counterexample!.moves.length);
      } else {
        expect([task.value.states, task.value.transitions]).toEqual([alone.states, alone.transitions]);
      }
      if (task.value.counterexample !== null) checkPath(task.value, graph);
    }),
  );
});

/** A long way, from each place on which there is a short one back. */
function counter(states: number): World {
  const words = new Int32Array(1);
  return {
    words,
    live: [0],
    properties: ["end"],
    mostMoves: 1,
    moves: () => Number(words[0]! < states - 1),
    play: () => void (words[0]! += 1),
    wrong: () => Number(words[0] === states - 1),
    describe: () => ({ actor: "counter", step: "count", routine: "count", does: "One more." }),
  };
}

describe("what is not exhausted is not called so", () => {
  test("when the states are too many", () => {
    expect(explore(counter(5000), { ...small, mostStates: 1000 })).toMatchObject({
      exhausted: false,
      stopped: "states",
      counterexample: null,
    });
    expect(explore(counter(5000)).counterexample!.moves).toHaveLength(4999);
  });

  test("when they take too much memory", () => {
    const { exhausted, stopped, counterexample, bytes } = explore(counter(100_000), { mostBytes: 2 ** 18 });
    expect({ exhausted, stopped, counterexample }).toEqual({
      exhausted: false,
      stopped: "memory",
      counterexample: null,
    });
    expect(bytes).toBeLessThanOrEqual(2 ** 18);
  });
});

test("a world with an empty part, or with none, is refused", () => {
  expect(() => explore({ ...counter(3), parts: [[0], []] })).toThrow(RangeError);
  expect(() => explore({ ...counter(3), live: [] })).toThrow(RangeError);
});
