import type { AvicState } from "./avic-state.ts";
import { type AvicStepId, avicStepIds, avicSteps } from "./avic-steps.ts";
import { StepTable, numberSteps } from "./step.ts";
import { threadStepIds } from "./thread-steps.ts";

const ids: readonly AvicStepId[] = [...threadStepIds, ...avicStepIds];

/** Posting between the remapping unit, AVIC and Linux 7.0. */
export const avicPosting = new StepTable<AvicState, AvicStepId>(ids, avicSteps(numberSteps(ids)));
