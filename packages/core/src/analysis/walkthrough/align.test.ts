import { describe, expect, test } from "vitest";
import { guest, nic } from "../../machine/testbed.ts";
import type { Draft } from "../../machine/testbed.ts";
import { alignSteps } from "./align.ts";
import type { WalkStep } from "./step.ts";
import { walkDraft } from "./testbed.ts";

const draft = (cmdline: string): Draft => ({
  machine: { cmdline },
  devices: nic,
  vms: guest,
  script: [
    { start: "guest" },
    { enable: { device: "nic", vectors: 2 } },
    { interrupt: { device: "nic", times: 3 } },
  ],
});

const attack = (cmdline: string): Draft => ({
  machine: { cmdline },
  devices: { ...nic, hostile: { at: "02:00.0", msix: 1 } },
  script: [{ enable: { device: "nic" } }, { attack: { device: "hostile" } }],
});

const sends = ({ stop, request }: WalkStep): boolean => stop === "device" && request !== null;

const ascending = (indices: readonly (number | null)[], length: number): void => {
  expect(indices.filter((index) => index !== null)).toEqual([...Array(length).keys()]);
};

describe("two runs in step", () => {
  test("are the same row for row where they are the same run", async () => {
    const { steps } = await walkDraft(draft("intel_iommu=on"));
    expect(alignSteps(steps, steps)).toEqual(steps.map((_, i) => [i, i]));
  });

  test("have every step of both once, in order, and the nth interrupts beside each other", async () => {
    const left = (await walkDraft(draft("intel_iommu=on"))).steps;
    const right = (await walkDraft(draft("intel_iommu=on intremap=nopost"))).steps;
    const pairs = alignSteps(left, right);
    ascending(
      pairs.map(([l]) => l),
      left.length,
    );
    ascending(
      pairs.map(([, r]) => r),
      right.length,
    );
    const beside = pairs.filter(([l]) => l !== null && sends(left[l]!));
    expect(beside).toHaveLength(6);
    for (const [l, r] of beside) expect(right[r!]!.request).toBe(left[l!]!.request);
    const differ = pairs.filter(([l, r]) => l === null || r === null);
    expect(differ.length).toBeGreaterThan(0);
  });

  test("differ in what an attacker's first interrupts come to, where one does not verify who sends", async () => {
    const left = (await walkDraft(attack("intel_iommu=on intremap=nosid"), { limit: 2000 })).steps;
    const right = (await walkDraft(attack("intel_iommu=on"), { limit: 2000 })).steps;
    const first = alignSteps(left, right).filter(
      ([l, r]) => (l === null ? right[r!]! : left[l]!).request === 1,
    );
    const verdicts = (side: 0 | 1): unknown[] =>
      first.map((row) => (row[side] === null ? null : (side === 0 ? left : right)[row[side]]!.verdict));
    expect(verdicts(0)).toContain("delivered");
    expect(verdicts(1)).not.toContain("delivered");
    const refused = verdicts(1).indexOf("blocked here");
    expect(verdicts(0)[refused]).toBe("does not apply");
  }, 30_000);

  test("stay in step where nothing is sent for longer than is looked at in one go", async () => {
    const [step] = (await walkDraft(draft("intel_iommu=on"))).steps;
    const some = (length: number): WalkStep[] =>
      Array.from({ length }, (_, i) => ({ ...step!, title: `step ${"abcdefg"[i % 7]}` }));
    const pairs = alignSteps(some(4200), some(4207));
    expect(pairs.filter(([l, r]) => l !== null && r !== null)).toHaveLength(4200);
    ascending(
      pairs.map(([, r]) => r),
      4207,
    );
  });

  test("stand alone where the other has none", async () => {
    const { steps } = await walkDraft(draft("intel_iommu=on"));
    expect(alignSteps(steps, [])).toEqual(steps.map((_, i) => [i, null]));
    expect(alignSteps([], [])).toEqual([]);
  });
});
