import * as irte from "../../spec/accessors/irte-posted.ts";
import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { control, descriptor, harvest, setControl, setPir } from "./descriptor-words.ts";
import { type PostingState, postedInterruptVector } from "./posting-state.ts";
import { done } from "./step.ts";
import type { Numbers, Steps } from "./vmx-step-ids.ts";
import { FrameWord } from "./words.ts";

export function deviceSteps(at: Numbers): Steps<"device-request" | "device-post" | "device-notify"> {
  return {
    "device-request": {
      routine: "hardware: remapping",
      does: "The unit finds the interrupt's IRTE, in its cache or in the table; what it does not post goes to the host, whose handler gives it to KVM.",
      act: (state, frame) => {
        const { words } = state;
        const entry = state.get(frame + FrameWord.entry);
        const held = state.irtes.lookUp(entry);
        if (irte.p(words, held) === 0) return done;
        if (irte.im(words, held) === 0) return at["software-set-pir"];
        state.set(frame + FrameWord.vcpu, state.vcpuOf(irte.pdaLow(words, held), irte.pdaHigh(words, held)));
        state.set(frame + FrameWord.vector, irte.vv(words, held));
        state.set(frame + FrameWord.value, irte.urg(words, held));
        state.irtes.inHand(entry, 1);
        return at["device-post"];
      },
    },
    "device-post": {
      routine: "hardware: posting",
      does: "In one read-modify-write the unit sets PIR, and ON unless it is set, or SN is and the IRTE is not urgent.",
      act: (state, frame) => {
        setPir(state, frame);
        const was = control(state, frame);
        const quiet = state.take(frame + FrameWord.value) === 0 ? pid.ON_MASK | pid.SN_MASK : pid.ON_MASK;
        if ((was & quiet) !== 0) return posted(state, frame);
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
        return posted(state, frame);
      },
    },
  };
}

/** vtd.iec.drain: the unit is through with the interrupt. */
function posted(state: PostingState, frame: number): number {
  state.irtes.inHand(state.get(frame + FrameWord.entry), -1);
  return done;
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
      does: "The processor clears ON and nothing else.",
      act: (state, frame) => {
        setControl(state, frame, control(state, frame) & ~pid.ON_MASK);
        state.set(frame + FrameWord.part, 0);
        return at["processor-harvest"];
      },
    },
    "processor-harvest": {
      routine: "hardware: posted-interrupt processing",
      does: "The processor moves 64 bits of PIR to VIRR, and after the last of them evaluates what waits.",
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
