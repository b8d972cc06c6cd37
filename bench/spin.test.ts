import { describe, expect, test } from "vitest";
import { baseSize } from "../packages/core/src/analysis/verify/protocol.ts";
import { explore } from "../packages/core/src/analysis/verify/search.ts";
import { vmxPlays } from "../packages/core/src/analysis/verify/vmx-plays.ts";
import { VmxWorld } from "../packages/core/src/analysis/verify/vmx-world.ts";
import { vmxPosting } from "../packages/core/src/linux/posting/vmx-table.ts";
import { missingTool, runSpin, spinSteps } from "./spin.mjs";

const base = vmxPlays.find(({ name }) => name === "base")!;

/** A compiler runs in each, on a machine that may be busy. */
const timeout = 60_000;

describe.skipIf(missingTool() !== null)("the protocol in Promela (wants spin and gcc)", { timeout }, () => {
  test.each([0, 1, 2])("has as many states and moves as ours, and is as clean: %i posts", (posts) => {
    const size = { ...baseSize, posts };
    const { states, transitions, exhausted } = explore(new VmxWorld(vmxPosting, base, size, false));
    const { seconds: _, ...spin } = runSpin({ posts });
    expect(spin).toEqual({ states, transitions, moves: null });
    expect([exhausted, explore(new VmxWorld(vmxPosting, base, size)).exhausted]).toEqual([true, true]);
  });

  test.each(Object.entries(spinSteps))("misses %s as ours does, after as many moves", (step, more) => {
    const size = { ...baseSize, ...more };
    const table = vmxPosting.without(step as keyof typeof spinSteps);
    const { moves } = runSpin(more, { without: step, shortest: true });
    const [single, merged] = [false, true].map(
      (merging) => explore(new VmxWorld(table, base, size, merging)).counterexample,
    );
    expect(moves).toBeGreaterThan(0);
    expect(moves).toBe(single?.moves.length);
    expect(merged?.property).toBe(single?.property);
  });
});
