import * as irte from "../../spec/accessors/irte-posted.ts";
import {
  driverWords,
  hostVector,
  lockEntry,
  prepareHost,
  preparePosted,
  retarget,
  storeWords,
  touchesPosted,
} from "./entry-words.ts";
import { type EntryState, IrteWord } from "./entry-state.ts";
import type { PostingState } from "./posting-state.ts";
import type { Step } from "./step.ts";
import type { Numbers, Steps } from "./vmx-step-ids.ts";
import { FrameWord } from "./words.ts";

/** KVM asks. */
export function askSteps(at: Numbers): Steps<"entry-ask-posted" | "entry-ask-remapped"> {
  return {
    "entry-ask-posted": {
      local: true,
      routine: "vmx_pi_update_irte",
      does: "KVM asks for the interrupt to be posted, as the guest's vector, to the vCPU's descriptor.",
      act: (state: PostingState, frame) => {
        const address = state.addressOf(state.get(frame + FrameWord.vcpu));
        state.set(frame + FrameWord.addressLow, address | 0);
        state.set(frame + FrameWord.addressHigh, Math.floor(address / 2 ** 32));
        state.set(frame + FrameWord.value, 1);
        return at["entry-lock"];
      },
    },
    "entry-ask-remapped": {
      local: true,
      routine: "vmx_pi_update_irte",
      does: "KVM asks for the interrupt to come to the host again.",
      act: (state, frame) => {
        state.set(frame + FrameWord.value, 0);
        return at["entry-lock"];
      },
    },
  };
}

/** Steps of the remapping driver: all that they reach is {@link EntryState}, which a driver has without any KVM. */
export const driverStepIds = [
  "entry-lock",
  "entry-to-vcpu",
  "entry-to-host",
  "affinity-lock",
  "affinity-copy",
  "posted-guard",
  "host-write",
  "host-write-posted",
  "entry-clear",
  "entry-test-format",
  "entry-exchange",
  "entry-store-low",
  "entry-store-high",
  "entry-write-back",
  "entry-invalidate",
  "entry-wait",
  "entry-unlock",
] as const;

export type DriverStepId = (typeof driverStepIds)[number];
type DriverNumbers = Readonly<Record<DriverStepId, number>>;

/** A table as a remapping driver sees it. */
export interface DriverTable {
  readonly at: DriverNumbers;
  run(state: EntryState, frame: number, from: number): number;
}

export function driverSteps(at: DriverNumbers): Record<DriverStepId, Step<EntryState>> {
  return { ...decisionSteps(at), ...modifySteps(at) };
}

/** The driver decides whose the entry is to be, and what it keeps in mind. */
function decisionSteps(at: DriverNumbers) {
  return {
    "entry-lock": {
      routine: "irq_set_vcpu_affinity",
      does: "The interrupt's descriptor is locked: until it is unlocked nobody else changes the entry.",
      act: (state, frame) => {
        if (!lockEntry(state, frame)) return at["entry-lock"];
        return state.take(frame + FrameWord.value) === 0 ? at["entry-to-host"] : at["entry-to-vcpu"];
      },
    },
    "entry-to-vcpu": {
      local: true,
      routine: "intel_ir_set_vcpu_affinity",
      does: "The driver notes that the entry is a vCPU's; it is to post there, with the source id that it has.",
      act: (state, frame) => {
        const words = driverWords(state, frame);
        state.set(words + IrteWord.asked, 1);
        state.set(words + IrteWord.postedVcpu, 1);
        preparePosted(state, frame, state.get(frame + FrameWord.vector));
        return at["entry-test-format"];
      },
    },
    "entry-to-host": {
      local: true,
      routine: "intel_ir_set_vcpu_affinity",
      does: "The driver is to give the entry back to the host, whoever has it.",
      act: (state, frame) => {
        state.set(driverWords(state, frame) + IrteWord.asked, 0);
        return at["host-write"];
      },
    },
    "affinity-lock": {
      routine: "__irq_set_affinity",
      does: "The host moves the interrupt to another CPU, with its descriptor locked.",
      act: (state, frame) => (lockEntry(state, frame) ? at["affinity-copy"] : at["affinity-lock"]),
    },
    "affinity-copy": {
      local: true,
      routine: "intel_ir_reconfigure_irte",
      does: "The driver's copy of the host's entry gets the vector and the destination of the new CPU.",
      act: (state, frame) => {
        retarget(state, frame, state.get(frame + FrameWord.vector), state.take(frame + FrameWord.value));
        return at["posted-guard"];
      },
    },
    "posted-guard": {
      local: true,
      routine: "__intel_ir_reconfigure_irte",
      does: "An entry that is a vCPU's stays as it is: only the driver's copy has changed.",
      leftOut: {
        to: at["host-write"],
        bug: "Linux 688124cc541f: moving the interrupt on the host takes it away from the vCPU.",
      },
      act: (state, frame) =>
        state.get(driverWords(state, frame) + IrteWord.postedVcpu) !== 0
          ? at["entry-unlock"]
          : at["host-write"],
    },
    "host-write": {
      local: true,
      routine: "__intel_ir_reconfigure_irte",
      does: "The driver forgets the vCPU; the entry is to be the host's.",
      act: (state, frame) => {
        state.set(driverWords(state, frame) + IrteWord.postedVcpu, 0);
        const own = state.get(frame + FrameWord.addressLow) | state.get(frame + FrameWord.addressHigh);
        if (own !== 0) return at["host-write-posted"];
        prepareHost(state, frame);
        return at["entry-test-format"];
      },
    },
    "host-write-posted": {
      local: true,
      routine: "intel_ir_reconfigure_irte_posted",
      does: "With posted MSI on the host, the entry is to post the host's vector to the CPU's own descriptor.",
      act: (state, frame) => {
        preparePosted(state, frame, hostVector(state, frame));
        return at["entry-test-format"];
      },
    },
    "entry-clear": {
      local: true,
      routine: "intel_irq_remapping_deactivate",
      does: "The interrupt is given up: the entry is to be not present, and nobody's.",
      act: (state, frame) => {
        state.set(driverWords(state, frame) + IrteWord.postedVcpu, 0);
        for (let i = 0; i < irte.WORDS; i++) state.set(frame + FrameWord.irte + i, 0);
        return at["entry-test-format"];
      },
    },
    "entry-unlock": {
      routine: "irq_put_desc_unlock",
      does: "The interrupt's descriptor is unlocked.",
      act: (state, frame) => {
        state.set(driverWords(state, frame) + IrteWord.lock, 0);
        return state.take(frame + FrameWord.back);
      },
    },
  } satisfies Partial<Record<DriverStepId, Step<EntryState>>>;
}

/** The entry changes under the eyes of a unit that may be using it. */
function modifySteps(at: DriverNumbers) {
  const routine = "modify_irte";
  const halves = irte.WORDS / 2;
  return {
    "entry-test-format": {
      local: true,
      routine,
      does: "Where the old entry or the new one is posted, a descriptor's address straddles the halves.",
      act: (state, frame) => (touchesPosted(state, frame) ? at["entry-exchange"] : at["entry-store-low"]),
    },
    "entry-exchange": {
      routine,
      does: "One cmpxchg16b changes all 128 bits of the entry.",
      act: (state, frame) => {
        storeWords(state, frame, 0, irte.WORDS);
        return at["entry-write-back"];
      },
    },
    "entry-store-low": {
      routine,
      does: "One store changes bits 63:0 of the entry.",
      act: (state, frame) => {
        storeWords(state, frame, 0, halves);
        return at["entry-store-high"];
      },
    },
    "entry-store-high": {
      routine,
      does: "Another store changes bits 127:64.",
      act: (state, frame) => {
        storeWords(state, frame, halves, irte.WORDS);
        return at["entry-write-back"];
      },
    },
    "entry-write-back": {
      routine,
      does: "The entry is flushed to memory, if the unit does not snoop the CPU's cache.",
      act: (state, frame) => {
        state.entries.writeBack(state.get(frame + FrameWord.entry));
        return at["entry-invalidate"];
      },
    },
    "entry-invalidate": {
      routine,
      does: "An index-selective invalidation makes the unit forget the old entry.",
      leftOut: {
        to: at["entry-unlock"],
        bug: "asterinas#2645: the unit goes on with the entry that it holds.",
      },
      act: (state, frame) => {
        state.set(frame + FrameWord.value, state.entries.invalidate(state.get(frame + FrameWord.entry)));
        return at["entry-wait"];
      },
    },
    "entry-wait": {
      routine,
      does: "A wait descriptor completes when the unit is through with what it began with the old entry.",
      act: (state, frame) =>
        state.entries.drained(state.get(frame + FrameWord.entry)) ? at["entry-unlock"] : at["entry-wait"],
    },
  } satisfies Partial<Record<DriverStepId, Step<EntryState>>>;
}
