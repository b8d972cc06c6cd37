import type { RunResult } from "../../machine/result.ts";
import type { WalkStep } from "./step.ts";

/** A scenario's run, step by step. */
export interface Walkthrough {
  readonly result: RunResult;
  readonly steps: readonly WalkStep[];
  /** About how many steps were left out, as there were too many: of each episode the first are kept. */
  readonly leftOut: number;
}
