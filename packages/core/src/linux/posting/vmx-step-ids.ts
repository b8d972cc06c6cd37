import { driverStepIds } from "./irte-steps.ts";
import type { PostingState } from "./posting-state.ts";
import type { Step } from "./step.ts";
import type { ThreadStepId } from "./thread-steps.ts";

/** The steps of posting that hardware does, those of VMX in the kernel, and those of the remapping driver. */
export const vmxStepIds = [
  "device-request",
  "device-post",
  "device-notify",
  "processor-acknowledge",
  "processor-clear-on",
  "processor-harvest",
  "host-notification",
  "load-test-vector",
  "wakeup-list-once",
  "ndst-update",
  "load-set-control",
  "load-clear-sn",
  "load-test-pir",
  "recompute-on",
  "put-test-target",
  "put-set-sn",
  "wakeup-list-add",
  "wakeup-set-vector",
  "self-ipi-at-block",
  "sync-test-on",
  "sync-clear-on",
  "sync-harvest",
  "wakeup-acknowledge",
  "wakeup-walk",
  "software-set-pir",
  "software-set-on",
  "software-test-mode",
  "software-notify",
  "irte-ask-posted",
  "irte-ask-remapped",
  ...driverStepIds,
] as const;

export type VmxStepId = (typeof vmxStepIds)[number] | ThreadStepId;
/** The number of each step. */
export type Numbers = Readonly<Record<VmxStepId, number>>;
type OwnId = (typeof vmxStepIds)[number];

/** A part of the table. */
export type Steps<Id extends OwnId> = Record<Id, Step<PostingState>>;
