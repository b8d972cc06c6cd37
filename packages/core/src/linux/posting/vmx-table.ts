import { harvestSteps, softwareSteps, wakeupSteps } from "./delivery-steps.ts";
import { askSteps, driverSteps } from "./irte-steps.ts";
import { deviceSteps, processorSteps } from "./hardware-steps.ts";
import { loadSteps } from "./load-steps.ts";
import type { PostingState } from "./posting-state.ts";
import { putSteps } from "./put-steps.ts";
import { type Step, StepTable, numberSteps } from "./step.ts";
import { threadStepIds, threadSteps } from "./thread-steps.ts";
import { type Numbers, type VmxStepId, vmxStepIds } from "./vmx-step-ids.ts";

/** Every step, given their numbers. */
function vmxSteps(at: Numbers): Record<VmxStepId, Step<PostingState>> {
  const vendor = {
    sync: at["sync-test-on"],
    load: at["load-test-vector"],
    put: at["put-test-target"],
    assign: at["irte-ask-posted"],
    absences: {
      "sync-pir-on-entry": {
        to: at["entry-test-requests"],
        bug: "What was posted while the vCPU was outside its guest keeps ON set, and no later interrupt notifies.",
      },
      "kick-on-assign": {
        to: at["irte-ask-posted"],
        bug: "Linux a2486020a82e: a vCPU that slept before the first device came is not woken by it.",
      },
    },
  };
  return {
    ...threadSteps<PostingState>(at, vendor),
    ...deviceSteps(at),
    ...processorSteps(at),
    ...loadSteps(at),
    ...putSteps(at),
    ...harvestSteps(at),
    ...wakeupSteps(at),
    ...softwareSteps(at),
    ...askSteps(at),
    ...driverSteps(at),
  };
}

const ids: readonly VmxStepId[] = [...threadStepIds, ...vmxStepIds];

/** Posting between the remapping unit, VMX and Linux 7.0. */
export const vmxPosting = new StepTable<PostingState, VmxStepId>(ids, vmxSteps(numberSteps(ids)));
