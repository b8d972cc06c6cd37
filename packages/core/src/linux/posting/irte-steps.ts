import * as irte from "../../spec/accessors/irte-posted.ts";
import {
  driverWords,
  hostVector,
  lockIrte,
  prepareHost,
  preparePosted,
  retarget,
  storeWords,
  touchesPosted,
} from "./irte-words.ts";
import { type IrteState, IrteWord } from "./irte-state.ts";
import type { PostingState } from "./posting-state.ts";
import type { Step } from "./step.ts";
import type { Numbers, Steps } from "./vmx-step-ids.ts";
import { FrameWord } from "./words.ts";

/** KVM asks. */
export function askSteps(at: Numbers): Steps<"irte-ask-posted" | "irte-ask-remapped"> {
  return {
    "irte-ask-posted": {
      local: true,
      routine: "vmx_pi_update_irte",
      does: "KVM asks for the interrupt to be posted, as the guest's vector, to the vCPU's descriptor.",
      act: (state: PostingState, frame) => {
        const address = state.addressOf(state.get(frame + FrameWord.vcpu));
        state.set(frame + FrameWord.addressLow, address | 0);
        state.set(frame + FrameWord.addressHigh, Math.floor(address / 2 ** 32));
        state.set(frame + FrameWord.value, 1);
        return at["irte-lock"];
      },
    },
    "irte-ask-remapped": {
      local: true,
      routine: "vmx_pi_update_irte",
      does: "KVM asks for the interrupt to come to the host again.",
      act: (state, frame) => {
        state.set(frame + FrameWord.value, 0);
        return at["irte-lock"];
      },
    },
  };
}

/** Steps of the remapping driver: all that they reach is {@link IrteState}, which a driver has without any KVM. */
export const driverStepIds = [
  "irte-lock",
  "irte-to-vcpu",
  "irte-to-host",
  "affinity-lock",
  "affinity-copy",
  "posted-guard",
  "irte-write-host",
  "irte-write-host-posted",
  "irte-clear",
  "irte-test-format",
  "irte-exchange",
  "irte-store-low",
  "irte-store-high",
  "irte-write-back",
  "irte-invalidate",
  "irte-wait",
  "irte-unlock",
] as const;

export type DriverStepId = (typeof driverStepIds)[number];
type DriverNumbers = Readonly<Record<DriverStepId, number>>;

/** A table as a remapping driver sees it. */
export interface DriverTable {
  readonly at: DriverNumbers;
  run(state: IrteState, frame: number, from: number): number;
}

export function driverSteps(at: DriverNumbers): Record<DriverStepId, Step<IrteState>> {
  return { ...decisionSteps(at), ...modifySteps(at) };
}

/** The driver decides whose the entry is to be, and prepares it; the interrupt's lock keeps everybody else out. */
function decisionSteps(at: DriverNumbers) {
  return {
    "irte-lock": {
      routine: "irq_set_vcpu_affinity",
      does: "The interrupt is locked: until it is unlocked, nobody else changes its IRTE.",
      act: (state, frame) => {
        if (!lockIrte(state, frame)) return at["irte-lock"];
        return state.take(frame + FrameWord.value) === 0 ? at["irte-to-host"] : at["irte-to-vcpu"];
      },
    },
    "irte-to-vcpu": {
      local: true,
      routine: "intel_ir_set_vcpu_affinity",
      does: "The driver notes that the IRTE is a vCPU's: it is to post there, with the source id of the host's copy.",
      act: (state, frame) => {
        const words = driverWords(state, frame);
        state.set(words + IrteWord.asked, 1);
        state.set(words + IrteWord.postedVcpu, 1);
        preparePosted(state, frame, state.get(frame + FrameWord.vector));
        return at["irte-test-format"];
      },
    },
    "irte-to-host": {
      local: true,
      routine: "intel_ir_set_vcpu_affinity",
      does: "The driver is told to give the IRTE back to the host, whoever has it.",
      act: (state, frame) => {
        state.set(driverWords(state, frame) + IrteWord.asked, 0);
        return at["irte-write-host"];
      },
    },
    "affinity-lock": {
      routine: "__irq_set_affinity",
      does: "The host moves the interrupt to another CPU, and locks it to that end.",
      act: (state, frame) => (lockIrte(state, frame) ? at["affinity-copy"] : at["affinity-lock"]),
    },
    "affinity-copy": {
      local: true,
      routine: "intel_ir_reconfigure_irte",
      does: "The driver's copy of the host's IRTE gets the vector and the destination of the new CPU.",
      act: (state, frame) => {
        retarget(state, frame, state.get(frame + FrameWord.vector), state.take(frame + FrameWord.value));
        return at["posted-guard"];
      },
    },
    "posted-guard": {
      local: true,
      routine: "__intel_ir_reconfigure_irte",
      does: "An IRTE that is a vCPU's stays as it is: only the driver's copy has changed.",
      leftOut: {
        to: at["irte-write-host"],
        bug: "Linux 688124cc541f: moving the interrupt on the host takes it away from the vCPU.",
      },
      act: (state, frame) =>
        state.get(driverWords(state, frame) + IrteWord.postedVcpu) !== 0
          ? at["irte-unlock"]
          : at["irte-write-host"],
    },
    "irte-write-host": {
      local: true,
      routine: "__intel_ir_reconfigure_irte",
      does: "The driver forgets the vCPU: the IRTE is to be the host's.",
      act: (state, frame) => {
        state.set(driverWords(state, frame) + IrteWord.postedVcpu, 0);
        const own = state.get(frame + FrameWord.addressLow) | state.get(frame + FrameWord.addressHigh);
        if (own !== 0) return at["irte-write-host-posted"];
        prepareHost(state, frame);
        return at["irte-test-format"];
      },
    },
    "irte-write-host-posted": {
      local: true,
      routine: "intel_ir_reconfigure_irte_posted",
      does: "With posted MSI, the host's IRTE is to post the host's vector to the descriptor of its CPU.",
      act: (state, frame) => {
        preparePosted(state, frame, hostVector(state, frame));
        return at["irte-test-format"];
      },
    },
    "irte-clear": {
      local: true,
      routine: "intel_irq_remapping_deactivate",
      does: "The IRTE of an interrupt that is given up is to be not present, and nobody's.",
      act: (state, frame) => {
        state.set(driverWords(state, frame) + IrteWord.postedVcpu, 0);
        for (let i = 0; i < irte.WORDS; i++) state.set(frame + FrameWord.irte + i, 0);
        return at["irte-test-format"];
      },
    },
    "irte-unlock": {
      routine: "irq_put_desc_unlock",
      does: "The interrupt is unlocked.",
      act: (state, frame) => {
        state.set(driverWords(state, frame) + IrteWord.lock, 0);
        return state.take(frame + FrameWord.back);
      },
    },
  } satisfies Partial<Record<DriverStepId, Step<IrteState>>>;
}

/** The entry changes under the eyes of a unit that may be using it. */
function modifySteps(at: DriverNumbers) {
  const routine = "modify_irte";
  const halves = irte.WORDS / 2;
  return {
    "irte-test-format": {
      local: true,
      routine,
      does: "Where the old IRTE or the new one is posted, both halves are to change at once: each has a part of a descriptor's address.",
      act: (state, frame) => (touchesPosted(state, frame) ? at["irte-exchange"] : at["irte-store-low"]),
    },
    "irte-exchange": {
      routine,
      does: "One cmpxchg16b changes all 128 bits of the IRTE.",
      act: (state, frame) => {
        storeWords(state, frame, 0, irte.WORDS);
        return at["irte-write-back"];
      },
    },
    "irte-store-low": {
      routine,
      does: "One store changes bits 63:0, where neither the old IRTE nor the new one is posted.",
      act: (state, frame) => {
        storeWords(state, frame, 0, halves);
        return at["irte-store-high"];
      },
    },
    "irte-store-high": {
      routine,
      does: "A second store changes bits 127:64 of that IRTE.",
      act: (state, frame) => {
        storeWords(state, frame, halves, irte.WORDS);
        return at["irte-write-back"];
      },
    },
    "irte-write-back": {
      routine,
      does: "The IRTE is flushed to memory, if the unit does not snoop the CPU's cache.",
      act: (state, frame) => {
        state.irtes.writeBack(state.get(frame + FrameWord.entry));
        return at["irte-invalidate"];
      },
    },
    "irte-invalidate": {
      routine,
      does: "An index-selective invalidation makes the unit forget the old IRTE.",
      leftOut: {
        to: at["irte-unlock"],
        bug: "asterinas#2645: the unit goes on with the IRTE that it holds.",
      },
      act: (state, frame) => {
        state.set(frame + FrameWord.value, state.irtes.invalidate(state.get(frame + FrameWord.entry)));
        return at["irte-wait"];
      },
    },
    "irte-wait": {
      routine,
      does: "The driver waits until the unit is through with what it had begun under the old IRTE.",
      act: (state, frame) =>
        state.irtes.drained(state.get(frame + FrameWord.entry)) ? at["irte-unlock"] : at["irte-wait"],
    },
  } satisfies Partial<Record<DriverStepId, Step<IrteState>>>;
}
