import { describe, expect, test } from "vitest";
import type { PostingState } from "./posting-state.ts";
import { type Step, StepTable } from "./step.ts";
import { type Play, type Property, explore } from "./testbed.ts";
import type { VmxStepId } from "./vmx-step-ids.ts";
import { vmxPosting } from "./vmx-table.ts";

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
      { others: ["device-request", "entry-ask-remapped"], preemptions: 0 },
    ],
    [
      "an entry's return and two changes of host affinity",
      { ...quiet, others: ["entry-ask-remapped", "affinity-lock", "affinity-lock"] },
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
    others: ["device-request", "entry-ask-remapped"],
    last: true,
    preemptions: 0,
    migrations: 0,
  });
  expect(wrong).toBe("lost interrupt");
  const order = ["sync-test-on", "device-notify", "entry-wait", "release-count", "put-test-target"];
  const places = order.map((step) => path.lastIndexOf(step));
  expect(places).toEqual([...places].sort((one, other) => one - other));
});

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
    ["entry-invalidate", "unit with an old entry", { others: ["device-request", "entry-ask-remapped"] }],
    ["sync-pir-on-entry", "lost interrupt", {}],
  ])("%s: %s", (step, wrong, more) => {
    expect(explore({ ...posts, ...more }, vmxPosting.without(step), [wrong]).wrong).toBe(wrong);
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
    const table = changed("entry-wait", () => vmxPosting.at["entry-unlock"]);
    const play: Play = { ...posts, ...quiet, others: ["device-request", "entry-ask-remapped"] };
    expect(explore(play, table, ["unit with an old entry"]).wrong).toBe("unit with an old entry");
  });
});
