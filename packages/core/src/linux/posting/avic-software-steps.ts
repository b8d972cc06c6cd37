import { vcpuOf } from "./avic-frame.ts";
import type { AvicNumbers, AvicStepsOf } from "./avic-steps.ts";
import { done } from "./step.ts";
import { FrameWord, Mode, VcpuWord } from "./words.ts";

// Software posts.

export function softwareSteps(
  at: AvicNumbers,
): AvicStepsOf<"software-request" | "software-test-mode" | "software-doorbell"> {
  return {
    "software-request": {
      routine: "svm_deliver_interrupt",
      does: "KVM sets the vector in IRR of the backing page, before it looks where the vCPU is.",
      act: (state, frame) => {
        state.port.request(vcpuOf(state, frame), state.get(frame + FrameWord.vector));
        return at["software-test-mode"];
      },
    },
    "software-test-mode": {
      routine: "svm_complete_interrupt_delivery",
      does: "A vCPU in guest mode needs a doorbell; any other finds the vector when it enters, once it is awake.",
      act: (state, frame) => {
        if (state.ofVcpu(frame, VcpuWord.mode) === Mode.inGuest) return at["software-doorbell"];
        state.set(frame + FrameWord.back, done);
        return at["wake-vcpu"];
      },
    },
    "software-doorbell": {
      routine: "avic_ring_doorbell",
      does: "The doorbell of the vCPU's CPU is rung; if the vCPU has moved since, it was at VMRUN, and has seen the vector.",
      leftOut: {
        to: done,
        bug: "The guest finds the interrupt when it happens to exit.",
      },
      act: (state, frame) => {
        const cpu = state.ofVcpu(frame, VcpuWord.cpu);
        if (cpu !== state.get(frame + FrameWord.cpu)) state.port.doorbell(state.port.apicIdOf(cpu));
        return done;
      },
    },
  };
}
