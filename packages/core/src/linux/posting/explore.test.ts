import { describe, expect, test } from "vitest";
import type { PostingState } from "./posting-state.ts";
import { type Step, StepTable } from "./step.ts";
import { Explorer, type Play, type Property, type Table, properties } from "./testbed.ts";
import type { VmxStepId } from "./vmx-step-ids.ts";
import { vmxPosting } from "./vmx-table.ts";

interface Result {
  readonly states: number;
  readonly wrong: Property | undefined;
  /** The shortest way there; of what never ends, to where it begins. */
  readonly path: readonly string[];
}

/**
 * Every interleaving, breadth first, until something is wrong.
 * @param heeded what counts as wrong.
 */
function explore(play: Play, table: Table = vmxPosting, heeded: readonly Property[] = properties): Result {
  const explorer = new Explorer(play, table);
  const states: Int32Array[] = [explorer.save()];
  const parents: number[] = [-1];
  const labels: string[] = [""];
  /** From where to where, two numbers a move. */
  const edges: number[] = [];
  const seen = new Map<string, number>([[keyOf(states[0]!), 0]]);
  for (let i = 0; i < states.length; i++) {
    explorer.load(states[i]!);
    const wrong = explorer.wrong().find((property) => heeded.includes(property));
    if (wrong !== undefined) return { states: seen.size, wrong, path: pathTo(i, parents, labels) };
    for (let move = 0, moves = explorer.moves(); move < moves.length; move++) {
      if (move > 0) explorer.load(states[i]!);
      moves[move]![1]();
      const next = explorer.save();
      const key = keyOf(next);
      const known = seen.get(key);
      // Whoever waits for a lock is where it was.
      if (known !== i) edges.push(i, known ?? states.length);
      if (known !== undefined) continue;
      seen.set(key, states.length);
      states.push(next);
      parents.push(i);
      labels.push(moves[move]![0]);
    }
    // What is behind is not needed any more.
    states[i] = empty;
  }
  const round = heeded.includes("endless wakeup") ? onCycle(states.length, edges) : -1;
  if (round < 0) return { states: seen.size, wrong: undefined, path: [] };
  return { states: seen.size, wrong: "endless wakeup", path: pathTo(round, parents, labels) };
}

/**
 * Everything that happens is spent on something that does not come back, unless a thread is woken and sleeps again for
 * ever: a state on the way to itself. @returns one of them; -1 if there is none.
 */
function onCycle(states: number, edges: readonly number[]): number {
  // Moves were noted in the order of the states that they lead from.
  const first = new Int32Array(states + 1);
  for (let i = 0; i < edges.length; i += 2) first[edges[i]! + 1]! += 1;
  for (let state = 0; state < states; state++) first[state + 1]! += first[state]!;
  const next = first.slice(0, states);
  const entered = new Uint8Array(states);
  const onWay = new Uint8Array(states);
  const way = [0];
  entered[0] = onWay[0] = 1;
  for (let state = way.at(-1); state !== undefined; state = way.at(-1)) {
    const end = first[state + 1]!;
    if (next[state] === end) {
      onWay[state] = 0;
      way.pop();
      continue;
    }
    const to = edges[2 * next[state]!++ + 1]!;
    if (onWay[to] === 1) return to;
    if (entered[to] === 1) continue;
    entered[to] = onWay[to] = 1;
    way.push(to);
  }
  return -1;
}

const empty = new Int32Array();

/** Most words are zero. */
function keyOf(words: Int32Array): string {
  let length = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === 0) continue;
    codes[length++] = i;
    codes[length++] = word;
    codes[length++] = word >>> 16;
  }
  return String.fromCharCode(...codes.subarray(0, length));
}

const codes = new Uint16Array(1024);

function pathTo(state: number, parents: readonly number[], labels: readonly string[]): string[] {
  const path: string[] = [];
  for (let i = state; parents[i]! >= 0; i = parents[i]!) path.unshift(labels[i]!);
  return path;
}

const posts: Play = {
  others: ["device-request", "device-request"],
  halts: 1,
  preemptions: 1,
  migrations: 1,
  assigned: true,
};
const quiet = { halts: 0, preemptions: 0, migrations: 0 };
const assignment: Partial<Play> = {
  ...quiet,
  others: ["device-request", "assign-count"],
  assigned: false,
  halts: 1,
};

describe("nothing goes wrong in any order of", () => {
  test.each<[string, Partial<Play>]>([
    ["two devices' posts, to a vCPU that halts, is preempted and moves", {}],
    ["a device's post and software's", { others: ["device-request", "software-set-pir"], preemptions: 0 }],
    ["a post and the first assignment", assignment],
    ["a post and a change of host affinity", { others: ["device-request", "affinity-lock"] }],
    [
      "a post and its entry's return to the host",
      { others: ["device-request", "irte-ask-remapped"], preemptions: 0 },
    ],
    [
      "an entry's return and two changes of host affinity",
      { ...quiet, others: ["irte-ask-remapped", "affinity-lock", "affinity-lock"] },
    ],
    [
      "an assignment and two changes of host affinity",
      { ...quiet, others: ["assign-count", "affinity-lock", "affinity-lock"], assigned: false },
    ],
  ])("%s", (_, more) => {
    const { wrong, path, states } = explore({ ...posts, ...more });
    expect({ wrong, path }).toEqual({ wrong: undefined, path: [] });
    expect(states).toBeGreaterThan(500);
  });
});

/**
 * KVM 7.0 as the table has it: a vCPU that has looked at PIR and goes to sleep is put on no wakeup list once the count
 * is 0, and nobody looks again.
 */
test("an interrupt can be lost that came as a vCPU went to sleep, if it was the last that may bypass the host", () => {
  const { wrong, path } = explore({
    ...posts,
    others: ["device-request", "irte-ask-remapped"],
    last: true,
    preemptions: 0,
    migrations: 0,
  });
  expect(wrong).toBe("lost interrupt");
  const order = ["sync-test-on", "device-notify", "irte-wait", "release-count", "put-test-target"];
  const places = order.map((step) => path.lastIndexOf(step));
  expect(places[0]).toBeGreaterThan(0);
  expect(places).toEqual([...places].sort((one, other) => one - other));
});

/** The table, with another action for one of its steps. */
function changed(id: VmxStepId, act: Step<PostingState>["act"]): StepTable<PostingState, VmxStepId> {
  const steps = Object.fromEntries(
    vmxPosting.ids.map((each) => [each, vmxPosting.steps[vmxPosting.at[each]]!]),
  );
  return new StepTable<PostingState, VmxStepId>(vmxPosting.ids, {
    ...(steps as Record<VmxStepId, Step<PostingState>>),
    [id]: { ...steps[id]!, act },
  });
}

describe("without a step something goes wrong:", () => {
  test.each<[VmxStepId, Property, Partial<Play>]>([
    ["recompute-on", "lost interrupt", {}],
    ["self-ipi-at-block", "lost interrupt", { preemptions: 0, migrations: 0 }],
    ["ndst-update", "lost interrupt", { halts: 0 }],
    ["ndst-update", "notification to a CPU that cannot act on it", { halts: 0 }],
    ["kick-on-assign", "lost interrupt", assignment],
    ["kick-on-assign", "notification to a CPU that cannot act on it", assignment],
    ["wakeup-list-once", "on two wakeup lists", { ...quiet, others: ["device-request"], halts: 2 }],
    ["posted-guard", "entry in the wrong mode", { others: ["affinity-lock"] }],
    ["irte-invalidate", "unit with an old entry", { others: ["device-request", "irte-ask-remapped"] }],
    ["sync-pir-on-entry", "lost interrupt", {}],
  ])("%s: %s", (step, wrong, more) => {
    expect(explore({ ...posts, ...more }, vmxPosting.without(step), [wrong]).wrong).toBe(wrong);
  });

  test("a wait that does not look at what was posted: endless wakeup", () => {
    const table = changed("block-check", () => vmxPosting.at["block-test"]);
    const play = { ...posts, ...quiet, halts: 1, others: ["device-request"] } as const;
    expect(explore(play, table, ["endless wakeup"]).wrong).toBe("endless wakeup");
  });

  test("an entry that changes without its interrupt's lock: entry in the wrong mode", () => {
    const table = changed("affinity-lock", () => vmxPosting.at["affinity-copy"]);
    const play: Play = { ...posts, ...quiet, others: ["assign-count", "affinity-lock"], assigned: false };
    expect(explore(play, table, ["entry in the wrong mode"]).wrong).toBe("entry in the wrong mode");
  });

  test("an invalidation that is not waited for: unit with an old entry", () => {
    const table = changed("irte-wait", () => vmxPosting.at["irte-unlock"]);
    const play: Play = { ...posts, ...quiet, others: ["device-request", "irte-ask-remapped"] };
    expect(explore(play, table, ["unit with an old entry"]).wrong).toBe("unit with an old entry");
  });
});
