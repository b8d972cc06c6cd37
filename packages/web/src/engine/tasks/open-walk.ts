import { InputError, type RunResult, type WalkStep } from "@intremap/core";
import type { Tell } from "../tasks.ts";
import { type WalkQuestion, type WalkedRuns, walkRuns } from "../walk-runs.ts";

/** Steps of one slice: few enough that the page takes them without a stop that is felt. */
const sliceLength = 1500;

/** A run without its steps, which are asked for slice by slice. */
export interface OpenedRun {
  readonly result: RunResult;
  readonly count: number;
  readonly leftOut: number;
}

export interface OpenedWalk {
  readonly left: OpenedRun;
  readonly right: OpenedRun | null;
  /** Steps of both runs beside each other: left, right, left, right …; -1 where a run has none. */
  readonly pairs: Int32Array<ArrayBuffer>;
}

let kept: WalkedRuns | null = null;

function opened({ result, steps, leftOut }: WalkedRuns["left"]): OpenedRun {
  return { result, count: steps.length, leftOut };
}

/** Runs one scenario, or two in step, and keeps their steps. */
export async function openWalk(input: WalkQuestion, tell: Tell): Promise<OpenedWalk> {
  kept = null;
  kept = await walkRuns(input, tell);
  const { left, right, pairs } = kept;
  return {
    left: opened(left),
    right: right === null ? null : opened(right),
    pairs: Int32Array.from(pairs.flatMap(([l, r]) => [l ?? -1, r ?? -1])),
  };
}

/** Some of the steps that {@link openWalk} kept, from one on. */
export function walkSlice({
  side,
  from,
}: {
  readonly side: 0 | 1;
  readonly from: number;
}): readonly WalkStep[] {
  const run = side === 0 ? kept?.left : kept?.right;
  if (run === undefined || run === null) throw new InputError("no scenario is open here");
  return run.steps.slice(from, from + sliceLength);
}
