import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { control, descriptor, harvest, setControl, setPir } from "./descriptor-words.ts";
import { postedInterruptVector } from "./posting-state.ts";
import { done } from "./step.ts";
import type { Numbers, Steps } from "./vmx-step-ids.ts";
import { EntryWord, FrameWord } from "./words.ts";

export function deviceSteps(at: Numbers): Steps<"device-request" | "device-post" | "device-notify"> {
  return {
    "device-request": {
      routine: "hardware: remapping",
      does: "The unit finds the interrupt's entry: posted, or remapped, so that the host's handler gives it to KVM.",
      act: (state, frame) =>
        state.get(state.entryAt(state.get(frame + FrameWord.entry)) + EntryWord.posted) !== 0
          ? at["device-post"]
          : at["software-set-pir"],
    },
    "device-post": {
      routine: "hardware: posting",
      does: "In one read-modify-write the unit sets PIR, and ON if neither ON nor SN is set.",
      act: (state, frame) => {
        setPir(state, frame);
        const was = control(state, frame);
        if ((was & (pid.ON_MASK | pid.SN_MASK)) !== 0) return done;
        setControl(state, frame, was | pid.ON_MASK);
        state.set(frame + FrameWord.part, pid.nvOf(was));
        state.set(frame + FrameWord.value, pid.ndst(state.descriptors, descriptor(state, frame)));
        return at["device-notify"];
      },
    },
    "device-notify": {
      routine: "hardware: posting",
      does: "The notification arrives where NDST and NV pointed when ON was set.",
      act: (state, frame) => {
        state.port.notify(state.take(frame + FrameWord.value), state.take(frame + FrameWord.part));
        return done;
      },
    },
  };
}

export function processorSteps(
  at: Numbers,
): Steps<"processor-acknowledge" | "processor-clear-on" | "processor-harvest" | "host-notification"> {
  return {
    "processor-acknowledge": {
      routine: "hardware: posted-interrupt processing",
      does: "A processor in guest mode acknowledges the notification, and ends it at its APIC.",
      act: (state, frame) => {
        state.port.acknowledge(state.get(frame + FrameWord.cpu), postedInterruptVector);
        return at["processor-clear-on"];
      },
    },
    "processor-clear-on": {
      routine: "hardware: posted-interrupt processing",
      does: "It clears ON and nothing else.",
      act: (state, frame) => {
        setControl(state, frame, control(state, frame) & ~pid.ON_MASK);
        state.set(frame + FrameWord.part, 0);
        return at["processor-harvest"];
      },
    },
    "processor-harvest": {
      routine: "hardware: posted-interrupt processing",
      does: "It moves 64 bits of PIR to VIRR, and after the last of them evaluates what waits.",
      act: (state, frame) => (harvest(state, frame) ? at["processor-harvest"] : done),
    },
    "host-notification": {
      routine: "sysvec_kvm_posted_intr_ipi",
      does: "A CPU that runs no guest acknowledges the notification; its handler does nothing.",
      act: (state, frame) => {
        state.port.acknowledge(state.get(frame + FrameWord.cpu), postedInterruptVector);
        return done;
      },
    },
  };
}
