import * as physical from "../../spec/accessors/avic-physical-entry.ts";
import { lock, vcpuOf } from "./avic-frame.ts";
import { AvicEntryWord, type AvicState, AvicVcpuWord } from "./avic-state.ts";
import type { AvicNumbers, AvicStepsOf } from "./avic-steps.ts";
import { type Step, done } from "./step.ts";
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
): AvicStepsOf<
  | "block-prepare"
  | "block-finish"
  | "block-hold-cpu"
  | "block-stop-running"
  | "block-announce"
  | "block-start-running"
> {
  return {
    "block-prepare": {
      ...thread["block-prepare"],
      act: (state, frame) =>
        state.isRunning(frame) ? at["block-hold-cpu"] : thread["block-prepare"].act(state, frame),
    },
    "block-hold-cpu": {
      local: true,
      routine: "kvm_vcpu_block",
      does: "The thread keeps its CPU from before the vCPU stops running until the thread is known as one to be woken.",
      leftOut: {
        to: at["block-stop-running"],
        bug: "Linux 18869f26df1a: a vCPU that is preempted in between is marked running again and sleeps so, and nobody wakes it.",
      },
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.preemptionOff, 1);
        return at["block-stop-running"];
      },
    },
    "block-stop-running": {
      local: true,
      routine: "avic_vcpu_blocking",
      does: "Before the thread looks for a reason not to sleep, the vCPU is to be one that does not run: what comes from now on wakes it.",
      leftOut: {
        to: at["block-announce"],
        bug: "What comes between the last look and the thread's sleep rings a doorbell that nobody hears, and nobody wakes the vCPU.",
      },
      act: (state, frame) => {
        state.set(frame + FrameWord.value, 1);
        state.set(frame + FrameWord.back, at["block-announce"]);
        return at["put-lock"];
      },
    },
    "block-announce": {
      routine: "kvm_vcpu_block",
      does: thread["block-prepare"].does,
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.preemptionOff, 0);
        return thread["block-prepare"].act(state, frame);
      },
    },
    "block-finish": {
      ...thread["block-finish"],
      act: (state, frame) => {
        const next = thread["block-finish"].act(state, frame);
        if (!state.hasAvic(frame)) return next;
        state.set(frame + FrameWord.back, next);
        return at["block-start-running"];
      },
    },
    "block-start-running": {
      local: true,
      routine: "avic_vcpu_unblocking",
      does: "The vCPU is to be one that runs, on the CPU that its thread has.",
      act: () => at["load-lock"],
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
      local: true,
      routine: "avic_vcpu_load",
      does: "A vCPU that waits in kvm_vcpu_block does not run until it has stopped waiting.",
      leftOut: {
        to: at["load-lock"],
        bug: "A vCPU that was preempted as it went to sleep counts as running while it sleeps, and nobody wakes it.",
      },
      act: (state, frame) =>
        state.ofVcpu(frame, VcpuWord.blocking) !== 0 ? at["schedule-loaded"] : at["load-lock"],
    },
    "load-lock": {
      routine: "__avic_vcpu_load",
      does: "The list of entries that post to the vCPU is locked, so that none joins it with an old place.",
      leftOut: {
        to: at["load-set-running"],
        bug: "Linux 4c08e737f056: an entry that joins the list meanwhile does so with the place that the vCPU has left.",
      },
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
        bug: "Linux 730ad0ede130: interrupts of devices for a vCPU that runs ring no doorbell, and the guest finds them when it happens to exit.",
      },
      act: (state, frame) => {
        const entry = state.get(frame + FrameWord.part) - 1;
        if (entry < 0) return at["load-unlock"];
        const after = state.ofEntry(entry, AvicEntryWord.next);
        state.set(frame + FrameWord.part, after);
        const next = after === 0 ? at["load-unlock"] : at["load-update-entries"];
        // amd_iommu_update_ga
        if (state.ofEntry(entry, AvicEntryWord.vcpu) < 0) return next;
        state.setOfEntry(entry, AvicEntryWord.destination, state.get(frame + FrameWord.value));
        state.setOfEntry(entry, AvicEntryWord.isRun, 1);
        state.setOfEntry(entry, AvicEntryWord.gaLogIntr, 0);
        state.port.placed(entry);
        return next;
      },
    },
    "load-unlock": {
      routine: "__avic_vcpu_load",
      does: "The list is unlocked.",
      act: (state, frame) => {
        state.setAvic(frame, AvicVcpuWord.lock, 0);
        state.set(frame + FrameWord.value, 0);
        state.set(frame + FrameWord.part, 0);
        const back = state.take(frame + FrameWord.back);
        return back === done ? at["schedule-loaded"] : back;
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
      local: true,
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
        const after = state.ofEntry(entry, AvicEntryWord.next);
        state.set(frame + FrameWord.part, after);
        const next = after === 0 ? at["put-clear-running"] : at["put-update-entries"];
        if (state.ofEntry(entry, AvicEntryWord.vcpu) < 0) return next;
        state.setOfEntry(entry, AvicEntryWord.isRun, 0);
        state.setOfEntry(entry, AvicEntryWord.gaLogIntr, state.get(frame + FrameWord.value));
        state.port.placed(entry);
        return next;
      },
    },
    "put-clear-running": {
      routine: "__avic_vcpu_put",
      does: "One store of the physical APIC id table's entry says that the vCPU does not run: IPIs to it exit.",
      leftOut: {
        to: at["put-note-stopped"],
        bug: "Erratum 1235 (Linux 8de4a1c8164e): the sender of an IPI takes the vCPU for running, does not exit, and nobody wakes the vCPU.",
      },
      act: (state, frame) => {
        const low = state.avic(frame, AvicVcpuWord.low);
        writeTable(state, frame, low, state.avic(frame, AvicVcpuWord.high) & ~physical.ISRUNNING_MASK);
        return at["put-note-stopped"];
      },
    },
    "put-note-stopped": {
      local: true,
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
        state.set(frame + FrameWord.part, 0);
        return state.take(frame + FrameWord.back);
      },
    },
    "nothing-to-sync": {
      local: true,
      routine: "kvm_lapic_find_highest_irr",
      does: "What was posted is in IRR already.",
      act: (state, frame) => state.take(frame + FrameWord.back),
    },
  };
}
