import { vectors } from "../irq/vectors.ts";
import { type Step, done } from "./step.ts";
import type { ThreadStepId, WithPort } from "./thread-steps.ts";
import { FrameWord, Mode, type ThreadState, VcpuWord, VmWord } from "./words.ts";

type AssignmentStepId =
  | "assign-count"
  | "kick-on-assign"
  | "kick-request"
  | "kick-exit"
  | "kick-notify"
  | "release-count";

/**
 * KVM is about to post a device's interrupt to a VM, or no longer does.
 * @param at numbers of the steps in the vendor's table.
 * @param assign where KVM points the interrupt at the vCPU.
 */
export function assignmentSteps<S extends ThreadState & WithPort>(
  at: Readonly<Record<ThreadStepId, number>>,
  assign: number,
): Record<AssignmentStepId, Step<S>> {
  return {
    "assign-count": {
      routine: "kvm_arch_irq_bypass_add_producer",
      does: "The VM's count of interrupts that may bypass the host goes up.",
      act: (state, frame) => {
        const count = state.vmAt(state.get(frame + FrameWord.vm)) + VmWord.bypass;
        state.set(count, state.get(count) + 1);
        return state.get(count) === 1 ? at["kick-on-assign"] : assign;
      },
    },
    "kick-on-assign": {
      local: true,
      routine: "vmx_pi_start_bypass",
      does: "With the first such interrupt every vCPU of the VM is to unblock, so that those asleep go to sleep anew, as ones that devices wake.",
      act: (state, frame) => {
        state.set(frame + FrameWord.value, state.get(frame + FrameWord.vcpu));
        state.set(frame + FrameWord.part, -1);
        return at["kick-request"];
      },
    },
    "kick-request": {
      routine: "kvm_make_all_cpus_request",
      does: "The next vCPU of the VM gets the request to unblock, and is woken.",
      act: (state, frame) => {
        const vcpu = nextOfVm(state, state.get(frame + FrameWord.vm), state.get(frame + FrameWord.part));
        state.set(frame + FrameWord.part, vcpu);
        if (vcpu < 0) {
          state.set(frame + FrameWord.vcpu, state.take(frame + FrameWord.value));
          state.set(frame + FrameWord.part, 0);
          return assign;
        }
        state.set(frame + FrameWord.vcpu, vcpu);
        state.setOfVcpu(frame, VcpuWord.unblock, 1);
        state.set(frame + FrameWord.back, at["kick-exit"]);
        return at["wake-vcpu"];
      },
    },
    "kick-exit": {
      routine: "kvm_make_all_cpus_request",
      does: "A vCPU that is in guest mode and gets a request goes to EXITING_GUEST_MODE.",
      act: (state, frame) => {
        if (state.ofVcpu(frame, VcpuWord.mode) !== Mode.inGuest) return at["kick-request"];
        state.setOfVcpu(frame, VcpuWord.mode, Mode.exiting);
        return at["kick-notify"];
      },
    },
    "kick-notify": {
      routine: "kvm_make_all_cpus_request",
      does: "The CPU of a vCPU that is to exit gets an IPI.",
      act: (state, frame) => {
        state.port.sendIpi(state.ofVcpu(frame, VcpuWord.cpu), vectors.CALL_FUNCTION);
        return at["kick-request"];
      },
    },

    "release-count": {
      routine: "kvm_arch_irq_bypass_del_producer",
      does: "The VM's count of interrupts that may bypass the host goes down, once the IRTE is the host's again.",
      act: (state, frame) => {
        const count = state.vmAt(state.get(frame + FrameWord.vm)) + VmWord.bypass;
        state.set(count, state.get(count) - 1);
        return done;
      },
    },
  };
}

function nextOfVm(state: ThreadState, vm: number, after: number): number {
  for (let vcpu = after + 1; vcpu < state.shape.vcpus; vcpu++) {
    if (state.get(state.vcpuAt(vcpu) + VcpuWord.vm) === vm) return vcpu;
  }
  return -1;
}
