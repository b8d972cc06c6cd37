import type { PostingState } from "./posting-state.ts";
import { done } from "./step.ts";
import type { Numbers, Steps } from "./vmx-step-ids.ts";
import { EntryWord, FrameWord } from "./words.ts";

export function entrySteps(
  at: Numbers,
): Steps<
  | "entry-ask-posted"
  | "entry-write-posted"
  | "entry-ask-remapped"
  | "entry-write-remapped"
  | "posted-guard"
  | "affinity-write"
> {
  return {
    "entry-ask-posted": {
      routine: "vmx_pi_update_irte",
      does: "KVM asks for the interrupt to be posted to the vCPU.",
      act: (state, frame) => {
        state.set(entry(state, frame) + EntryWord.asked, 1);
        return at["entry-write-posted"];
      },
    },
    "entry-write-posted": {
      routine: "intel_ir_set_vcpu_affinity",
      does: "One cmpxchg16b makes the entry a posted one, and the driver notes it.",
      act: (state, frame) => {
        state.set(entry(state, frame) + EntryWord.guard, 1);
        state.set(entry(state, frame) + EntryWord.posted, 1);
        return done;
      },
    },
    "entry-ask-remapped": {
      routine: "vmx_pi_update_irte",
      does: "KVM asks for the interrupt to come to the host again.",
      act: (state, frame) => {
        state.set(entry(state, frame) + EntryWord.asked, 0);
        return at["entry-write-remapped"];
      },
    },
    "entry-write-remapped": {
      routine: "intel_ir_set_vcpu_affinity",
      does: "One cmpxchg16b brings the host's entry back, and the driver forgets the vCPU.",
      act: (state, frame) => {
        state.set(entry(state, frame) + EntryWord.guard, 0);
        state.set(entry(state, frame) + EntryWord.posted, 0);
        return done;
      },
    },
    "posted-guard": {
      routine: "intel_ir_set_affinity",
      does: "The host moves the interrupt to another CPU: of an entry that is posted to a vCPU only the host's copy changes.",
      leftOut: {
        to: at["affinity-write"],
        bug: "Linux 688124cc541f: moving the interrupt on the host takes it away from the vCPU.",
      },
      act: (state, frame) =>
        state.get(entry(state, frame) + EntryWord.guard) !== 0 ? done : at["affinity-write"],
    },
    "affinity-write": {
      routine: "intel_ir_set_affinity",
      does: "The entry is written as the host's, for its new CPU.",
      act: (state, frame) => {
        state.set(entry(state, frame) + EntryWord.posted, 0);
        return done;
      },
    },
  };
}

function entry(state: PostingState, frame: number): number {
  return state.entryAt(state.get(frame + FrameWord.entry));
}
