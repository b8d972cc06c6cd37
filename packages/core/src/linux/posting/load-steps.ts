import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { control, descriptor, nextQuarter, setControl, withVector } from "./descriptor-words.ts";
import { postedInterruptVector, wakeupVector } from "./posting-state.ts";
import type { Numbers, Steps } from "./vmx-step-ids.ts";
import { FrameWord, VcpuWord } from "./words.ts";

export function loadSteps(
  at: Numbers,
): Steps<
  | "load-test-vector"
  | "wakeup-list-once"
  | "ndst-update"
  | "load-set-control"
  | "load-clear-sn"
  | "load-test-pir"
  | "recompute-on"
> {
  return {
    "load-test-vector": {
      routine: "vmx_vcpu_pi_load",
      does: "NV tells whether the vCPU was to be woken; if it was not, and its CPU is the one that it had, only SN is to be cleared.",
      act: (state, frame) => {
        const nv = pid.nvOf(control(state, frame));
        const moved = state.ofVcpu(frame, VcpuWord.cpu) !== state.get(frame + FrameWord.cpu);
        if (nv !== wakeupVector && !moved) return at["load-clear-sn"];
        state.setOfVcpu(frame, VcpuWord.interruptsOff, 1);
        state.set(frame + FrameWord.value, keep);
        return nv === wakeupVector ? at["wakeup-list-once"] : at["ndst-update"];
      },
    },
    "wakeup-list-once": {
      routine: "vmx_vcpu_pi_load",
      does: "The vCPU leaves the wakeup list of the CPU that it slept on, whatever has become of its devices.",
      leftOut: {
        to: at["ndst-update"],
        bug: "Linux 8b306e2f3c41: a vCPU that stays on a list is put on it again when it next sleeps, and the list breaks.",
      },
      act: (state, frame) => {
        state.removeFromList(state.ofVcpu(frame, VcpuWord.cpu), state.get(frame + FrameWord.vcpu));
        return at["ndst-update"];
      },
    },
    "ndst-update": {
      local: true,
      routine: "vmx_vcpu_pi_load",
      does: "The CPU that the vCPU is loaded on is to be NDST.",
      leftOut: {
        to: at["load-set-control"],
        bug: "Notifications go on to the CPU that the vCPU has left, where nobody acts on them.",
      },
      act: (state, frame) => {
        state.set(frame + FrameWord.value, state.port.destinationOf(state.get(frame + FrameWord.cpu)));
        return at["load-set-control"];
      },
    },
    "load-set-control": {
      routine: "vmx_vcpu_pi_load",
      does: "One cmpxchg of the descriptor's control word sets NDST and NV=F2h and clears SN; ON stays as others have it.",
      act: (state, frame) => {
        const first = descriptor(state, frame);
        const { descriptors } = state;
        const ndst = state.take(frame + FrameWord.value);
        setControl(state, frame, withVector(control(state, frame), postedInterruptVector) & ~pid.SN_MASK);
        if (ndst !== keep) descriptors[first + pid.NDST_WORD] = ndst;
        state.setOfVcpu(frame, VcpuWord.interruptsOff, 0);
        state.set(frame + FrameWord.part, 0);
        return at["load-test-pir"];
      },
    },
    "load-clear-sn": {
      routine: "vmx_vcpu_pi_load",
      does: "SN is cleared by a test-and-clear; if it was clear, no interrupt can have come without a notification.",
      act: (state, frame) => {
        const was = control(state, frame);
        setControl(state, frame, was & ~pid.SN_MASK);
        state.set(frame + FrameWord.part, 0);
        return (was & pid.SN_MASK) === 0 ? at["schedule-loaded"] : at["load-test-pir"];
      },
    },
    "load-test-pir": {
      routine: "vmx_vcpu_pi_load",
      does: "With SN clear, 64 bits of PIR are looked at for what was posted in silence.",
      act: (state, frame) => {
        const from = descriptor(state, frame) + pid.PIR_WORD + 2 * state.get(frame + FrameWord.part);
        if ((state.descriptors[from]! | state.descriptors[from + 1]!) !== 0) return at["recompute-on"];
        return nextQuarter(state, frame) ? at["load-test-pir"] : at["schedule-loaded"];
      },
    },
    "recompute-on": {
      routine: "vmx_vcpu_pi_load",
      does: "ON is set for what was posted while SN kept the unit from setting it, so that the VM entry looks at PIR.",
      leftOut: {
        to: at["schedule-loaded"],
        bug: "Linux c112b5f50232: what was posted while SN was set stays in PIR until some other interrupt comes.",
      },
      act: (state, frame) => {
        setControl(state, frame, control(state, frame) | pid.ON_MASK);
        state.set(frame + FrameWord.part, 0);
        return at["schedule-loaded"];
      },
    },
  };
}

/** In place of a new NDST: the old one stays. No APIC that is notified has the broadcast's id. */
const keep = -1;
