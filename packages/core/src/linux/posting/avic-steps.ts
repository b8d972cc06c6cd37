import { deviceSteps, ipiSteps } from "./avic-hardware-steps.ts";
import { blockSteps, loadSteps, putSteps } from "./avic-run-steps.ts";
import { assignSteps, logSteps, softwareSteps } from "./avic-software-steps.ts";
import type { AvicState } from "./avic-state.ts";
import type { Step } from "./step.ts";
import { type ThreadStepId, threadSteps } from "./thread-steps.ts";

/** The steps of AVIC that hardware does, and those of SVM in the kernel. */
export const avicStepIds = [
  "device-request",
  "device-test-running",
  "device-doorbell",
  "device-log",
  "doorbell-evaluate",
  "ipi-request",
  "ipi-test-running",
  "ipi-doorbell",
  "load-test-blocking",
  "load-lock",
  "load-set-running",
  "load-update-entries",
  "load-unlock",
  "put-test-running",
  "put-lock",
  "put-update-entries",
  "put-clear-running",
  "put-note-stopped",
  "put-unlock",
  "nothing-to-sync",
  "software-request",
  "software-test-mode",
  "software-doorbell",
  "log-poll",
  "assign-lock",
  "assign-read-place",
  "assign-write-entry",
  "assign-unlock",
  "release-leave-list",
  "release-write-entry",
] as const;

export type AvicStepId = (typeof avicStepIds)[number] | ThreadStepId;
export type AvicNumbers = Readonly<Record<AvicStepId, number>>;
/** Some of the steps. */
export type AvicStepsOf<Id extends AvicStepId> = Record<Id, Step<AvicState>>;

/** Every step, given their numbers. */
export function avicSteps(at: AvicNumbers): Record<AvicStepId, Step<AvicState>> {
  const vendor = {
    sync: at["nothing-to-sync"],
    load: at["load-test-blocking"],
    put: at["put-test-running"],
    assign: at["assign-lock"],
    absences: {},
  };
  const thread = threadSteps<AvicState>(at, vendor);
  return {
    ...thread,
    ...blockSteps(at, thread),
    ...deviceSteps(at),
    ...ipiSteps(at),
    ...loadSteps(at),
    ...putSteps(at),
    ...softwareSteps(at),
    ...logSteps(at),
    ...assignSteps(at),
  };
}
