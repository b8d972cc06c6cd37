import { assignSteps, entrySteps, releaseSteps } from "./avic-entry-steps.ts";
import { deviceSteps, ipiSteps } from "./avic-hardware-steps.ts";
import { logSteps } from "./avic-log-steps.ts";
import { blockSteps, loadSteps, putSteps } from "./avic-run-steps.ts";
import { softwareSteps } from "./avic-software-steps.ts";
import type { AvicState } from "./avic-state.ts";
import type { Step } from "./step.ts";
import { type ThreadStepId, threadSteps } from "./thread-steps.ts";

/** The steps of AVIC that hardware does, and those of SVM in the kernel. */
export const avicStepIds = [
  "device-request",
  "device-set-irr",
  "device-test-running",
  "device-doorbell",
  "device-log",
  "device-log-interrupt",
  "doorbell-evaluate",
  "ipi-request",
  "ipi-test-running",
  "ipi-doorbell",
  "block-hold-cpu",
  "block-stop-running",
  "block-announce",
  "block-start-running",
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
  "log-clear-interrupt",
  "log-poll",
  "log-test-again",
  "assign-lock",
  "assign-read-place",
  "assign-take-entry",
  "keep-remapen",
  "assign-write-entry",
  "assign-unlock",
  "release-leave-list",
  "release-route",
  "release-take-entry",
  "release-write-entry",
  "affinity-lock",
  "guest-mode-guard",
  "affinity-write",
  "entry-invalidate",
  "entry-unlock",
] as const;

export type AvicStepId = (typeof avicStepIds)[number] | ThreadStepId;
export type AvicNumbers = Readonly<Record<AvicStepId, number>>;
/** Some of the steps. */
export type AvicStepsOf<Id extends AvicStepId> = Record<Id, Step<AvicState>>;

/** Steps of a thread that only it sees: an interrupt for its guest is never one of its CPU, and waits in no descriptor. */
const ownSteps: readonly ThreadStepId[] = [
  "entry-disable-interrupts",
  "sync-pir-on-entry",
  "block-check",
  "preempt",
  "schedule-off",
  "schedule-in",
];

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
  for (const id of ownSteps) thread[id] = { ...thread[id], local: true };
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
    ...releaseSteps(at),
    ...entrySteps(at),
  };
}
