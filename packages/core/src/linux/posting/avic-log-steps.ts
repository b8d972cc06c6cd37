import { AvicLogWord, AvicVcpuWord } from "./avic-state.ts";
import type { AvicNumbers, AvicStepsOf } from "./avic-steps.ts";
import { done } from "./step.ts";
import { FrameWord } from "./words.ts";

// The remapping driver reads the guest log.

export function logSteps(
  at: AvicNumbers,
): AvicStepsOf<"log-clear-interrupt" | "log-poll" | "log-test-again"> {
  return {
    "log-clear-interrupt": {
      routine: "amd_iommu_handle_irq",
      does: "The driver clears GALogInt before it reads the log, so that what is logged meanwhile sets it again.",
      leftOut: {
        to: at["log-poll"],
        bug: "The bit stays set: the driver reads the log for ever.",
      },
      act: (state) => {
        state.set(state.logAt + AvicLogWord.status, 0);
        return at["log-poll"];
      },
    },
    "log-poll": {
      routine: "iommu_poll_ga_log",
      does: "The next entry of the guest log is read, and its vCPU woken.",
      act: (state, frame) => {
        for (let vcpu = 0; vcpu < state.shape.vcpus; vcpu++) {
          const log = state.avicAt(vcpu) + AvicVcpuWord.log;
          if (state.get(log) === 0) continue;
          state.set(log, 0);
          state.set(frame + FrameWord.vcpu, vcpu);
          state.set(frame + FrameWord.back, at["log-poll"]);
          return at["wake-vcpu"];
        }
        return at["log-test-again"];
      },
    },
    "log-test-again": {
      routine: "amd_iommu_handle_irq",
      does: "If GALogInt was set again meanwhile the driver goes round again: no interrupt need come for it.",
      leftOut: {
        to: done,
        bug: "Erratum 1312: the bit stays set, no interrupt is raised for it ever again, and what is logged wakes nobody.",
      },
      act: (state) => (state.get(state.logAt + AvicLogWord.status) === 0 ? done : at["log-clear-interrupt"]),
    },
  };
}
