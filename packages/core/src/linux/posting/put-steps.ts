import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { control, setControl, withVector } from "./descriptor-words.ts";
import { wakeupVector } from "./posting-state.ts";
import type { Numbers, Steps } from "./vmx-step-ids.ts";
import { FrameWord, VcpuWord, VmWord } from "./words.ts";

export function putSteps(
  at: Numbers,
): Steps<"put-test-target" | "put-set-sn" | "wakeup-list-add" | "wakeup-set-vector" | "self-ipi-at-block"> {
  return {
    "put-test-target": {
      routine: "vmx_vcpu_pi_put",
      does: "A vCPU that nothing posts to is left alone; one that sleeps and can be interrupted is to be woken, any other not to be notified.",
      act: (state, frame) => {
        const vm = state.vmAt(state.ofVcpu(frame, VcpuWord.vm));
        if ((state.get(vm + VmWord.bypass) | state.get(vm + VmWord.ipiVirtualization)) === 0) {
          return at["schedule-off"];
        }
        const wakes =
          state.ofVcpu(frame, VcpuWord.preempted) === 0 &&
          state.ofVcpu(frame, VcpuWord.blocking) !== 0 &&
          state.ofVcpu(frame, VcpuWord.interruptBlocked) === 0;
        return wakes ? at["wakeup-list-add"] : at["put-set-sn"];
      },
    },
    "put-set-sn": {
      routine: "vmx_vcpu_pi_put",
      does: "SN is set: nobody could act on a notification until the vCPU is loaded again.",
      act: (state, frame) => {
        setControl(state, frame, control(state, frame) | pid.SN_MASK);
        return at["schedule-off"];
      },
    },
    "wakeup-list-add": {
      routine: "pi_enable_wakeup_handler",
      does: "The vCPU joins the wakeup list of its CPU.",
      act: (state, frame) => {
        state.addToList(state.ofVcpu(frame, VcpuWord.cpu), state.get(frame + FrameWord.vcpu));
        return at["wakeup-set-vector"];
      },
    },
    "wakeup-set-vector": {
      routine: "pi_enable_wakeup_handler",
      does: "A cmpxchg of the control word makes NV F1h, and shows whether ON was set by then.",
      act: (state, frame) => {
        const was = control(state, frame);
        setControl(state, frame, withVector(was, wakeupVector));
        return (was & pid.ON_MASK) === 0 ? at["schedule-off"] : at["self-ipi-at-block"];
      },
    },
    "self-ipi-at-block": {
      routine: "pi_enable_wakeup_handler",
      does: "The CPU sends itself the wakeup vector, since the notification for ON came, or will come, on the other vector.",
      leftOut: {
        to: at["schedule-off"],
        bug: "An interrupt that came just before the vCPU slept has set ON already: neither it nor a later one wakes the vCPU.",
      },
      act: (state, frame) => {
        state.port.sendIpi(state.ofVcpu(frame, VcpuWord.cpu), wakeupVector);
        return at["schedule-off"];
      },
    },
  };
}
