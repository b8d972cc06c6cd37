import { describe, expect, test } from "vitest";
import type { PostingState } from "../../linux/posting/posting-state.ts";
import { type Step, StepTable } from "../../linux/posting/step.ts";
import type { VmxStepId } from "../../linux/posting/vmx-step-ids.ts";
import { vmxPosting } from "../../linux/posting/vmx-table.ts";
import { type Size, baseSize, sizeBounds } from "./protocol.ts";
import { explore } from "./search.ts";
import type { VmxTable } from "./vmx-cast.ts";
import { vmxPlays } from "./vmx-plays.ts";
import { vmxProtocol } from "./vmx-protocol.ts";
import { VmxWorld } from "./vmx-world.ts";
import type { World } from "./world.ts";

const still = { preemptions: 0, halts: 0, migrations: 0 };
/** One post is enough to race with a change of its entry. */
const onePost: Size = { ...baseSize, posts: 1 };

function playOf(name: string) {
  return vmxPlays.find((play) => play.name === name)!;
}

describe("nothing goes wrong in any order when", () => {
  test.each(vmxProtocol.plays.filter(({ byDefault }) => byDefault))(
    "$title ($name)",
    ({ name }) => {
      const size = ["assign", "release"].includes(name) ? { ...onePost, preemptions: 0 } : baseSize;
      const { counterexample, exhausted, states } = explore(vmxProtocol.world(name, size));
      expect({ counterexample, exhausted }).toEqual({ counterexample: null, exhausted: true });
      expect(states).toBeGreaterThan(300);
    },
    60_000,
  );

  test.each<[string, Partial<Size>]>([
    ["base", { vcpus: 2, posts: 2, preemptions: 0 }],
    ["base", { vcpus: 2, cpus: 1, posts: 2 }],
    ["base", { cpus: 3, migrations: 2 }],
    ["software", { vcpus: 2, posts: 2, preemptions: 0, migrations: 0 }],
    ["affinity", { vcpus: 2, posts: 1, halts: 0 }],
    ["release", { ...still, vcpus: 2, halts: 1, posts: 1 }],
  ])(
    "in play %s there are %j",
    (name, more) => {
      const { counterexample, exhausted } = explore(vmxProtocol.world(name, { ...baseSize, ...more }));
      expect({ counterexample, exhausted }).toEqual({ counterexample: null, exhausted: true });
    },
    60_000,
  );
});

/**
 * KVM 7.0 as the table has it: a vCPU that has looked at PIR and goes to sleep is put on no wakeup list once the count
 * is 0, and nobody looks again.
 */
test("an interrupt can be lost that came as a vCPU went to sleep, if it was the last that may bypass the host", () => {
  const { counterexample } = explore(vmxProtocol.world("release-count", onePost));
  expect(counterexample!.property).toBe("lost interrupt");
  const path = counterexample!.moves.flatMap(({ step, rest = [] }) =>
    [step].concat(rest.map((each) => each.step)),
  );
  const order = ["sync-test-on", "device-notify", "irte-wait", "release-count", "put-test-target"];
  const places = order.map((step) => path.lastIndexOf(step));
  expect(places[0]).toBeGreaterThan(0);
  expect(places).toEqual([...places].sort((one, other) => one - other));
});

/** The table, with another action for one of its steps. */
function changed(id: VmxStepId, act: Step<PostingState>["act"]): VmxTable {
  const steps = Object.fromEntries(
    vmxPosting.ids.map((each) => [each, vmxPosting.steps[vmxPosting.at[each]]!]),
  );
  return new StepTable<PostingState, VmxStepId>(vmxPosting.ids, {
    ...(steps as Record<VmxStepId, Step<PostingState>>),
    [id]: { ...steps[id]!, act },
  });
}

const lost = "lost interrupt";
const inVain = "notification to a CPU that cannot act on it";

describe("without a step something goes wrong:", () => {
  test.each<[VmxStepId, string]>([
    ["recompute-on", lost],
    ["self-ipi-at-block", lost],
    ["ndst-update", lost],
    ["ndst-update", inVain],
    ["kick-on-assign", lost],
    ["kick-on-assign", inVain],
    ["wakeup-list-once", "on two wakeup lists"],
    ["posted-guard", "entry in the wrong mode"],
    ["irte-invalidate", "unit with an old entry"],
    ["sync-pir-on-entry", lost],
  ])("%s: %s", (id, property) => {
    const { play } = vmxProtocol.removable.find((each) => each.id === id)!;
    const { counterexample } = explore(vmxProtocol.world(play, baseSize, id), { heeded: [property] });
    expect(counterexample?.property).toBe(property);
  });

  test("each of those that can be left out, and nobody does it", () => {
    for (const { id, play } of vmxProtocol.removable) {
      const { counterexample } = explore(vmxProtocol.world(play, baseSize, id));
      expect(counterexample, id).not.toBeNull();
      const done = counterexample!.moves.flatMap(({ step, rest = [] }) =>
        [step].concat(rest.map((each) => each.step)),
      );
      expect(done).not.toContain(id);
    }
  });

  test.each<[what: string, id: VmxStepId, to: VmxStepId, play: string, property: string]>([
    ["a wait that does not look at what was posted", "block-check", "block-test", "base", "endless wakeup"],
    [
      "an entry that changes without its interrupt's lock",
      "affinity-lock",
      "affinity-copy",
      "assign-and-affinity",
      "entry in the wrong mode",
    ],
    [
      "an invalidation that is not waited for",
      "irte-wait",
      "irte-unlock",
      "release",
      "unit with an old entry",
    ],
  ])("%s", (_, id, to, play, property) => {
    const table = changed(id, () => vmxPosting.at[to]);
    const { counterexample } = explore(new VmxWorld(table, playOf(play), onePost), { heeded: [property] });
    expect(counterexample?.property).toBe(property);
    if (property === "endless wakeup") {
      const round = counterexample!.moves.slice(counterexample!.roundFrom!);
      expect(round.map(({ step }) => step)).toContain("wakeup-acknowledge");
    }
  });
});

type Words = readonly number[];

/** Every state of a world, by a search that takes nothing that the world says of itself for granted but its live words. */
function everyState(world: World, visit: (state: Words, moves: readonly number[]) => void): void {
  const { live, words } = world;
  const read = (): Words => live.map((at) => words[at]!);
  const write = (state: Words): void => live.forEach((at, i) => (words[at] = state[i]!));
  const seen = new Set<string>();
  const open: Words[] = [];
  const meet = (state: Words): void => {
    const key = state.join();
    if (!seen.has(key)) open.push(state);
    seen.add(key);
  };
  const codes = new Int32Array(world.mostMoves);
  meet(read());
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    write(state);
    const moves = [...codes.subarray(0, world.moves(codes))];
    visit(state, moves);
    for (const move of moves) {
      write(state);
      world.play(move);
      meet(read());
    }
  }
}

/**
 * States in which nobody can do anything any more, and all properties that are broken somewhere: if steps are put
 * together to moves as they may be, they are the same as when each step is a move.
 */
function outcome(table: VmxTable, name: string, size: Size, merging: boolean) {
  const world = new VmxWorld(table, playOf(name), size, merging);
  const ends = new Set<string>();
  let wrong = 0;
  let states = 0;
  everyState(world, (state, moves) => {
    states++;
    wrong |= world.wrong();
    if (moves.length === 0) ends.add(state.join());
  });
  return { states, ends: [...ends].sort(), wrong };
}

function removable(...ids: VmxStepId[]): (VmxStepId | undefined)[] {
  return [undefined, ...ids];
}

describe("steps that are put together to moves lead to the same ends, and break the same properties:", () => {
  test.each<[string, Partial<Size>, (VmxStepId | undefined)[]]>([
    [
      "base",
      { posts: 1 },
      removable("sync-pir-on-entry", "recompute-on", "ndst-update", "self-ipi-at-block"),
    ],
    ["software", { posts: 1 }, removable("wakeup-list-once", "self-ipi-at-block", "recompute-on")],
    ["two-halts", { posts: 2 }, removable("wakeup-list-once", "sync-pir-on-entry")],
    ["affinity", { posts: 1, preemptions: 0 }, removable("posted-guard")],
    ["release", { ...still, posts: 1, halts: 1 }, removable("irte-invalidate", "self-ipi-at-block")],
    ["assign", { ...still, posts: 1, halts: 1 }, removable("kick-on-assign")],
    ["release-count", { posts: 1 }, removable()],
    ["base", { ...still, posts: 1, vcpus: 2, halts: 1 }, removable("ndst-update")],
    ["software", { ...still, posts: 1, vcpus: 2, preemptions: 1 }, removable()],
  ])(
    "play %s, %j",
    (name, more, steps) => {
      const size = { ...baseSize, ...more };
      for (const step of steps) {
        const table = step === undefined ? vmxPosting : vmxPosting.without(step);
        const merged = outcome(table, name, size, true);
        const single = outcome(table, name, size, false);
        const { ends, wrong } = single;
        expect({ step, ends: merged.ends, wrong: merged.wrong }).toEqual({ step, ends, wrong });
        expect(merged.states).toBeLessThan(single.states * 0.6);
      }
    },
    60_000,
  );
});

describe("what the world says of itself holds:", () => {
  test.each(vmxPlays.map(({ name }) => name))(
    "play %s",
    (name) => {
      const two = name === "base" ? { vcpus: 2, posts: 2, halts: 0 } : {};
      const size = { ...onePost, preemptions: 0, migrations: 0, ...two };
      const world = new VmxWorld(vmxPosting, playOf(name), size);
      const { live, parts, words } = world;
      expect(parts.flat().sort((one, other) => one - other)).toEqual(live);
      const dead = [...words.keys()].filter((at) => !live.includes(at) && !world.unasked.includes(at));
      const beginning = words.slice();
      const places = new Map(live.map((at, i) => [at, i]));
      /** Moves that change what they do not say, parts that do not come out as they were, and words that change. */
      const [untold, unlike, alive] = [new Set<number>(), new Set<number>(), new Set<number>()];
      let checked = 0;
      everyState(world, (state, moves) => {
        if (checked++ % 5 !== 0) return;
        const write = (): void => live.forEach((at, i) => (words[at] = state[i]!));
        for (const move of moves) {
          write();
          world.play(move);
          const touched = world.touches();
          const after = words.slice();
          for (const [part, of] of parts.entries()) {
            const quiet = (touched & (1 << part)) === 0;
            if (quiet && of.some((at) => words[at] !== state[places.get(at)!])) untold.add(move);
            if (!world.packs[part]) continue;
            const packed = world.pack(part);
            for (const at of of) words[at] = -1;
            world.unpack(part, packed);
            if (of.some((at) => words[at] !== after[at])) unlike.add(part);
          }
          for (const at of dead) if (after[at] !== beginning[at]) alive.add(at);
        }
        write();
      });
      expect({ untold, unlike, alive }).toEqual({ untold: new Set(), unlike: new Set(), alive: new Set() });
      expect(checked).toBeGreaterThan(100);
    },
    60_000,
  );

  test("what is packed has room for the greatest sizes", () => {
    const greatest = Object.fromEntries(Object.entries(sizeBounds).map(([key, [, to]]) => [key, to]));
    const world = vmxProtocol.world("base", greatest as unknown as Size) as VmxWorld;
    for (const [part, of] of world.parts.entries()) {
      const before = of.map((at) => world.words[at]);
      world.unpack(part, world.pack(part));
      expect(of.map((at) => world.words[at])).toEqual(before);
    }
    expect(vmxPosting.ids.length).toBeLessThan(128);
  });
});
