import * as physical from "../../spec/accessors/avic-physical-entry.ts";
import { entryOf, lock, vcpuOf } from "./avic-frame.ts";
import { AvicEntryWord, type AvicState, AvicVcpuWord } from "./avic-state.ts";
import type { AvicNumbers, AvicStepsOf } from "./avic-steps.ts";
import { done } from "./step.ts";
import { EntryWord, FrameWord, Mode, VcpuWord } from "./words.ts";

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

export function logSteps(at: AvicNumbers): AvicStepsOf<"log-poll"> {
  return {
    "log-poll": {
      routine: "iommu_poll_ga_log",
      does: "The next entry of the guest log is read, and its vCPU woken.",
      act: (state, frame) => {
        for (let vcpu = 0; vcpu < state.shape.vcpus; vcpu++) {
          const log = state.avicAt(vcpu) + AvicVcpuWord.log;
          if (state.get(log) === 0) continue;
          state.set(log, 0);
          state.set(frame + FrameWord.vcpu, vcpu);
          state.set(frame + FrameWord.back, at["log-poll"]);
          return at["wake-vcpu"];
        }
        return done;
      },
    },
  };
}

// KVM points an entry of the remapping table at the vCPU.

export function assignSteps(
  at: AvicNumbers,
): AvicStepsOf<
  | "assign-lock"
  | "assign-read-place"
  | "assign-write-entry"
  | "assign-unlock"
  | "release-leave-list"
  | "release-write-entry"
> {
  return {
    "assign-lock": {
      routine: "avic_pi_update_irte",
      does: "The list of entries that post to the vCPU is locked: where it runs cannot change until the entry is on it.",
      leftOut: {
        to: at["assign-read-place"],
        bug: "A vCPU that is scheduled in or out meanwhile leaves the entry with a place where it no longer is.",
      },
      act: (state, frame) => lock(state, frame, at["assign-lock"], at["assign-read-place"]),
    },
    "assign-read-place": {
      routine: "avic_pi_update_irte",
      does: "KVM's copy of the physical APIC id table's entry says whether the vCPU runs, and where.",
      act: (state, frame) => {
        const high = state.avic(frame, AvicVcpuWord.high);
        const host = physical.hostOf(state.avic(frame, AvicVcpuWord.low));
        state.set(frame + FrameWord.value, physical.isrunningOf(high) === 1 ? host : -1);
        state.set(frame + FrameWord.part, physical.galogintrOf(high));
        return at["assign-write-entry"];
      },
    },
    "assign-write-entry": {
      routine: "amd_ir_set_vcpu_affinity",
      does: "One cmpxchg16b makes the entry post to the vCPU, where it is.",
      act: (state, frame) => {
        const entry = entryOf(state, frame);
        const host = state.take(frame + FrameWord.value);
        const log = state.take(frame + FrameWord.part);
        state.setOfEntry(entry, AvicEntryWord.vcpu, vcpuOf(state, frame));
        if (host >= 0) state.setOfEntry(entry, AvicEntryWord.destination, host);
        state.setOfEntry(entry, AvicEntryWord.isRun, host >= 0 ? 1 : 0);
        state.setOfEntry(entry, AvicEntryWord.gaLogIntr, host >= 0 ? 0 : log);
        markPosted(state, entry, 1);
        return at["assign-unlock"];
      },
    },
    "assign-unlock": {
      routine: "avic_pi_update_irte",
      does: "The entry joins the list, which is unlocked.",
      act: (state, frame) => {
        state.addToIrList(vcpuOf(state, frame), entryOf(state, frame));
        state.setAvic(frame, AvicVcpuWord.lock, 0);
        return done;
      },
    },
    "release-leave-list": {
      routine: "svm_ir_list_del",
      does: "Under the lock of its list the entry leaves it.",
      act: (state, frame) => {
        if (state.avic(frame, AvicVcpuWord.lock) !== 0) return at["release-leave-list"];
        state.removeFromIrList(vcpuOf(state, frame), entryOf(state, frame));
        return at["release-write-entry"];
      },
    },
    "release-write-entry": {
      routine: "amd_ir_set_vcpu_affinity",
      does: "One cmpxchg16b brings the host's entry back.",
      act: (state, frame) => {
        const entry = entryOf(state, frame);
        state.setOfEntry(entry, AvicEntryWord.vcpu, -1);
        state.setOfEntry(entry, AvicEntryWord.isRun, 0);
        state.setOfEntry(entry, AvicEntryWord.gaLogIntr, 0);
        markPosted(state, entry, 0);
        return done;
      },
    },
  };
}

function markPosted(state: AvicState, entry: number, posted: 0 | 1): void {
  state.set(state.entryAt(entry) + EntryWord.posted, posted);
  state.set(state.entryAt(entry) + EntryWord.asked, posted);
}
