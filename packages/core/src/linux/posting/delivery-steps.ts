import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { control, harvest, setControl, setPir } from "./descriptor-words.ts";
import { postedInterruptVector, wakeupVector } from "./posting-state.ts";
import { done } from "./step.ts";
import type { Numbers, Steps } from "./vmx-step-ids.ts";
import { FrameWord, Mode, VcpuWord } from "./words.ts";

export function harvestSteps(at: Numbers): Steps<"sync-test-on" | "sync-clear-on" | "sync-harvest"> {
  return {
    "sync-test-on": {
      routine: "vmx_sync_pir_to_irr",
      does: "While ON is clear, PIR holds nothing that was not seen.",
      act: (state, frame) =>
        (control(state, frame) & pid.ON_MASK) === 0
          ? state.take(frame + FrameWord.back)
          : at["sync-clear-on"],
    },
    "sync-clear-on": {
      routine: "vmx_sync_pir_to_irr",
      does: "ON is cleared before PIR is read, so that a post in between sets it again.",
      act: (state, frame) => {
        setControl(state, frame, control(state, frame) & ~pid.ON_MASK);
        state.set(frame + FrameWord.part, 0);
        return at["sync-harvest"];
      },
    },
    "sync-harvest": {
      routine: "vmx_sync_pir_to_irr",
      does: "An xchg takes 64 bits of PIR, which are ORed into IRR.",
      act: (state, frame) =>
        harvest(state, frame) ? at["sync-harvest"] : state.take(frame + FrameWord.back),
    },
  };
}

export function wakeupSteps(at: Numbers): Steps<"wakeup-acknowledge" | "wakeup-walk"> {
  return {
    "wakeup-acknowledge": {
      routine: "sysvec_kvm_posted_intr_wakeup_ipi",
      does: "A CPU acknowledges the wakeup vector, and ends it at its APIC.",
      act: (state, frame) => {
        state.port.acknowledge(state.get(frame + FrameWord.cpu), wakeupVector);
        state.set(frame + FrameWord.vcpu, -1);
        return at["wakeup-walk"];
      },
    },
    "wakeup-walk": {
      routine: "pi_wakeup_handler",
      does: "The next vCPU of the CPU's wakeup list is woken if its ON is set.",
      act: (state, frame) => {
        const next = state.nextOnList(state.get(frame + FrameWord.cpu), state.get(frame + FrameWord.vcpu));
        state.set(frame + FrameWord.vcpu, next);
        if (next < 0) return done;
        if ((control(state, frame) & pid.ON_MASK) === 0) return at["wakeup-walk"];
        state.set(frame + FrameWord.back, at["wakeup-walk"]);
        return at["wake-vcpu"];
      },
    },
  };
}

export function softwareSteps(
  at: Numbers,
): Steps<"software-set-pir" | "software-set-on" | "software-test-mode" | "software-notify"> {
  return {
    "software-set-pir": {
      routine: "vmx_deliver_posted_interrupt",
      does: "Software sets the vector in PIR by a test-and-set; if it was set, whoever set it sees to the rest.",
      act: (state, frame) => (setPir(state, frame) ? done : at["software-set-on"]),
    },
    "software-set-on": {
      routine: "vmx_deliver_posted_interrupt",
      does: "Software sets ON by a test-and-set; if it was set, a notification is on its way, or the VM entry will look.",
      act: (state, frame) => {
        const was = control(state, frame);
        setControl(state, frame, was | pid.ON_MASK);
        return (was & pid.ON_MASK) !== 0 ? done : at["software-test-mode"];
      },
    },
    "software-test-mode": {
      routine: "kvm_vcpu_trigger_posted_interrupt",
      does: "A vCPU in guest mode needs a notification; any other finds ON at its VM entry, once it is awake.",
      act: (state, frame) => {
        if (state.ofVcpu(frame, VcpuWord.mode) === Mode.inGuest) return at["software-notify"];
        state.set(frame + FrameWord.back, done);
        return at["wake-vcpu"];
      },
    },
    "software-notify": {
      routine: "kvm_vcpu_trigger_posted_interrupt",
      does: "The CPU of the vCPU gets the notification vector as an IPI.",
      act: (state, frame) => {
        state.port.sendIpi(state.ofVcpu(frame, VcpuWord.cpu), postedInterruptVector);
        return done;
      },
    },
  };
}
