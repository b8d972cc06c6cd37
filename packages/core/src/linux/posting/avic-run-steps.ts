import * as physical from "../../spec/accessors/avic-physical-entry.ts";
import { lock, vcpuOf } from "./avic-frame.ts";
import { AvicEntryWord, type AvicState, AvicVcpuWord } from "./avic-state.ts";
import type { AvicNumbers, AvicStepsOf } from "./avic-steps.ts";
import type { Step } from "./step.ts";
import type { ThreadStepId } from "./thread-steps.ts";
import { FrameWord, VcpuWord, VmWord } from "./words.ts";

/** One 64-bit store to the physical APIC id table. */
function writeTable(state: AvicState, frame: number, low: number, high: number): void {
  const at = state.physicalAt(vcpuOf(state, frame));
  state.tables[at] = low;
  state.tables[at + 1] = high;
}

// The thread sleeps and wakes: AVIC is told before and after.

export function blockSteps(
  at: AvicNumbers,
  thread: Record<ThreadStepId, Step<AvicState>>,
): AvicStepsOf<"block-prepare" | "block-finish"> {
  return {
    "block-prepare": {
      ...thread["block-prepare"],
      act: (state, frame) => {
        if (!state.isRunning(frame)) return thread["block-prepare"].act(state, frame);
        // avic_vcpu_blocking
        state.set(frame + FrameWord.value, 1);
        state.set(frame + FrameWord.back, at["block-prepare"]);
        return at["put-lock"];
      },
    },
    "block-finish": {
      ...thread["block-finish"],
      act: (state, frame) => {
        const next = thread["block-finish"].act(state, frame);
        if (!state.hasAvic(frame)) return next;
        // avic_vcpu_unblocking
        state.set(frame + FrameWord.back, next);
        return at["load-lock"];
      },
    },
  };
}

// The thread gets and loses its CPU, or sleeps.

export function loadSteps(
  at: AvicNumbers,
): AvicStepsOf<
  "load-test-blocking" | "load-lock" | "load-set-running" | "load-update-entries" | "load-unlock"
> {
  return {
    "load-test-blocking": {
      routine: "avic_vcpu_load",
      does: "A vCPU that waits in kvm_vcpu_block does not run until it has stopped waiting.",
      act: (state, frame) => {
        if (state.ofVcpu(frame, VcpuWord.blocking) !== 0) return at["schedule-loaded"];
        state.set(frame + FrameWord.back, at["schedule-loaded"]);
        return at["load-lock"];
      },
    },
    "load-lock": {
      routine: "__avic_vcpu_load",
      does: "The list of entries that post to the vCPU is locked, so that none joins it with an old place.",
      act: (state, frame) => lock(state, frame, at["load-lock"], at["load-set-running"]),
    },
    "load-set-running": {
      routine: "__avic_vcpu_load",
      does: "One store of the physical APIC id table's entry says that the vCPU runs, and on which CPU.",
      act: (state, frame) => {
        const host = state.port.apicIdOf(state.get(frame + FrameWord.cpu));
        const low = (state.avic(frame, AvicVcpuWord.low) & ~physical.HOST_MASK) | (host & physical.HOST_MASK);
        const stopped = state.avic(frame, AvicVcpuWord.high) & ~physical.GALOGINTR_MASK;
        const high = stopped | physical.ISRUNNING_MASK;
        state.setAvic(frame, AvicVcpuWord.low, low);
        state.setAvic(frame, AvicVcpuWord.high, high);
        const vm = state.vmAt(state.ofVcpu(frame, VcpuWord.vm));
        writeTable(state, frame, low, state.get(vm + VmWord.ipiVirtualization) === 0 ? stopped : high);
        state.set(frame + FrameWord.value, host);
        state.set(frame + FrameWord.part, state.avic(frame, AvicVcpuWord.list));
        return at["load-update-entries"];
      },
    },
    "load-update-entries": {
      routine: "avic_update_iommu_vcpu_affinity",
      does: "The next entry that posts to the vCPU gets its CPU as Destination, IsRun=1 and GALogIntr=0.",
      leftOut: {
        to: at["load-unlock"],
        bug: "Devices' interrupts for a vCPU that runs ring no doorbell: the guest finds them when it happens to exit.",
      },
      act: (state, frame) => {
        const entry = state.get(frame + FrameWord.part) - 1;
        if (entry < 0) return at["load-unlock"];
        state.setOfEntry(entry, AvicEntryWord.destination, state.get(frame + FrameWord.value));
        state.setOfEntry(entry, AvicEntryWord.isRun, 1);
        state.setOfEntry(entry, AvicEntryWord.gaLogIntr, 0);
        state.port.placed(entry);
        state.set(frame + FrameWord.part, state.ofEntry(entry, AvicEntryWord.next));
        return at["load-update-entries"];
      },
    },
    "load-unlock": {
      routine: "__avic_vcpu_load",
      does: "The list is unlocked.",
      act: (state, frame) => {
        state.setAvic(frame, AvicVcpuWord.lock, 0);
        state.set(frame + FrameWord.value, 0);
        return state.take(frame + FrameWord.back);
      },
    },
  };
}

export function putSteps(
  at: AvicNumbers,
): AvicStepsOf<
  | "put-test-running"
  | "put-lock"
  | "put-update-entries"
  | "put-clear-running"
  | "put-note-stopped"
  | "put-unlock"
  | "nothing-to-sync"
> {
  return {
    "put-test-running": {
      routine: "avic_vcpu_put",
      does: "A vCPU that waits in kvm_vcpu_block stopped running before it began to.",
      act: (state, frame) => {
        if (!state.isRunning(frame)) return at["schedule-off"];
        state.set(frame + FrameWord.value, state.ofVcpu(frame, VcpuWord.blocking));
        state.set(frame + FrameWord.back, at["schedule-off"]);
        return at["put-lock"];
      },
    },
    "put-lock": {
      routine: "__avic_vcpu_put",
      does: "The list of entries that post to the vCPU is locked.",
      act: (state, frame) => {
        state.set(frame + FrameWord.part, state.avic(frame, AvicVcpuWord.list));
        return lock(state, frame, at["put-lock"], at["put-update-entries"]);
      },
    },
    "put-update-entries": {
      routine: "avic_update_iommu_vcpu_affinity",
      does: "The next entry that posts to the vCPU gets IsRun=0, and GALogIntr=1 if the vCPU is to be woken.",
      leftOut: {
        to: at["put-clear-running"],
        bug: "A device's interrupt rings the doorbell of the CPU that the vCPU has left, and nobody wakes the vCPU.",
      },
      act: (state, frame) => {
        const entry = state.get(frame + FrameWord.part) - 1;
        if (entry < 0) return at["put-clear-running"];
        state.setOfEntry(entry, AvicEntryWord.isRun, 0);
        state.setOfEntry(entry, AvicEntryWord.gaLogIntr, state.get(frame + FrameWord.value));
        state.port.placed(entry);
        state.set(frame + FrameWord.part, state.ofEntry(entry, AvicEntryWord.next));
        return at["put-update-entries"];
      },
    },
    "put-clear-running": {
      routine: "__avic_vcpu_put",
      does: "One store of the physical APIC id table's entry says that the vCPU does not run: IPIs to it exit.",
      leftOut: {
        to: at["put-note-stopped"],
        bug: "Erratum 1235: the sender of an IPI takes the vCPU for running, does not exit, and nobody wakes the vCPU.",
      },
      act: (state, frame) => {
        const low = state.avic(frame, AvicVcpuWord.low);
        writeTable(state, frame, low, state.avic(frame, AvicVcpuWord.high) & ~physical.ISRUNNING_MASK);
        return at["put-note-stopped"];
      },
    },
    "put-note-stopped": {
      routine: "__avic_vcpu_put",
      does: "KVM's own copy says so too, and whether the vCPU is to be woken: a bit that hardware does not have.",
      act: (state, frame) => {
        const high = state.avic(frame, AvicVcpuWord.high) & ~physical.ISRUNNING_MASK;
        const log = state.take(frame + FrameWord.value) === 0 ? 0 : physical.GALOGINTR_MASK;
        state.setAvic(frame, AvicVcpuWord.high, high | log);
        return at["put-unlock"];
      },
    },
    "put-unlock": {
      routine: "__avic_vcpu_put",
      does: "The list is unlocked.",
      act: (state, frame) => {
        state.setAvic(frame, AvicVcpuWord.lock, 0);
        return state.take(frame + FrameWord.back);
      },
    },
    "nothing-to-sync": {
      routine: "kvm_lapic_find_highest_irr",
      does: "What was posted is in IRR already.",
      act: (state, frame) => state.take(frame + FrameWord.back),
    },
  };
}
