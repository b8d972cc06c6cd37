import * as physical from "../../spec/accessors/avic-physical-entry.ts";
import { entryOf, lock, vcpuOf } from "./avic-frame.ts";
import { AvicEntryWord, type AvicState, AvicVcpuWord } from "./avic-state.ts";
import type { AvicNumbers, AvicStepsOf } from "./avic-steps.ts";
import { done } from "./step.ts";
import { EntryWord, FrameWord } from "./words.ts";

/** Of an entry that is about to post: RemapEn stays as it is. */
const { irte: keepsRemapEn } = FrameWord;

/** KVM points an entry of the remapping table at the vCPU. */
export function assignSteps(
  at: AvicNumbers,
): AvicStepsOf<
  | "assign-lock"
  | "assign-read-place"
  | "assign-take-entry"
  | "keep-remapen"
  | "assign-write-entry"
  | "assign-unlock"
> {
  return {
    "assign-lock": {
      routine: "avic_pi_update_irte",
      does: "The list of entries that post to the vCPU is locked: where it runs cannot change until the entry is on it.",
      leftOut: {
        to: at["assign-read-place"],
        bug: "Linux c3d591c91f9c: a vCPU that is scheduled in or out meanwhile leaves the entry with a place where it no longer is.",
      },
      act: (state, frame) => lock(state, frame, at["assign-lock"], at["assign-read-place"]),
    },
    "assign-read-place": {
      local: true,
      routine: "avic_pi_update_irte",
      does: "The physical APIC id table's entry, as KVM keeps it, says whether the vCPU runs, and where.",
      leftOut: {
        to: at["assign-take-entry"],
        bug: "Linux f3cebc75e742: an entry for a vCPU that runs rings no doorbell until the vCPU is next scheduled in.",
      },
      act: (state, frame) => {
        const high = state.avic(frame, AvicVcpuWord.high);
        const host = physical.hostOf(state.avic(frame, AvicVcpuWord.low));
        state.set(frame + FrameWord.value, physical.isrunningOf(high) === 1 ? host + 1 : 0);
        state.set(frame + FrameWord.part, physical.galogintrOf(high));
        return at["assign-take-entry"];
      },
    },
    "assign-take-entry": {
      routine: "irq_set_vcpu_affinity",
      does: "The interrupt is locked: until it is unlocked, nobody else changes the mode of its IRTE.",
      act: (state, frame) => {
        if (!takeEntry(state, frame, vcpuOf(state, frame) + 1)) return at["assign-take-entry"];
        state.set(frame + FrameWord.back, at["assign-unlock"]);
        return at["keep-remapen"];
      },
    },
    "keep-remapen": {
      local: true,
      routine: "amd_iommu_activate_guest_mode",
      does: "RemapEn of the IRTE is to stay as it is, while the rest of it is made anew.",
      leftOut: {
        to: at["assign-write-entry"],
        bug: "Linux e97685abd5d7: the interrupt that was enabled is blocked, with an IO_PAGE_FAULT for each message.",
      },
      act: (state, frame) => {
        state.set(frame + keepsRemapEn, 1);
        return at["assign-write-entry"];
      },
    },
    "assign-write-entry": {
      routine: "amd_iommu_activate_guest_mode",
      does: "One cmpxchg16b makes the IRTE post to the vCPU, where it is.",
      act: (state, frame) => {
        const entry = entryOf(state, frame);
        const place = state.take(frame + FrameWord.value);
        const log = state.take(frame + FrameWord.part);
        writeMode(state, entry, vcpuOf(state, frame));
        if (place > 0) state.setOfEntry(entry, AvicEntryWord.destination, place - 1);
        state.setOfEntry(entry, AvicEntryWord.isRun, place > 0 ? 1 : 0);
        state.setOfEntry(entry, AvicEntryWord.gaLogIntr, place > 0 ? 0 : log);
        if (state.take(frame + keepsRemapEn) === 0) state.setOfEntry(entry, AvicEntryWord.disabled, 1);
        return at["entry-invalidate"];
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
  };
}

/** KVM takes an entry from the vCPU that it posts to. */
export function releaseSteps(
  at: AvicNumbers,
): AvicStepsOf<"release-leave-list" | "release-route" | "release-take-entry" | "release-write-entry"> {
  return {
    "release-leave-list": {
      routine: "svm_ir_list_del",
      does: "Under the lock of its list the entry leaves it, whomever it is to post to next.",
      leftOut: {
        to: at["release-route"],
        bug: "Linux a0ca34bb1aad: the vCPU that had the entry goes on to write where it runs itself into an entry of another.",
      },
      act: (state, frame) => {
        const entry = entryOf(state, frame);
        const vcpu = state.ofEntry(entry, AvicEntryWord.vcpu);
        if (state.get(state.avicAt(vcpu) + AvicVcpuWord.lock) !== 0) return at["release-leave-list"];
        state.removeFromIrList(vcpu, entry);
        return at["release-route"];
      },
    },
    "release-route": {
      local: true,
      routine: "avic_pi_update_irte",
      does: "The new route tells whether the IRTE is to be the host's or is to post to a vCPU again.",
      act: (state, frame) => {
        const next = state.take(frame + FrameWord.back);
        return next === done ? at["release-take-entry"] : next;
      },
    },
    "release-take-entry": {
      routine: "irq_set_vcpu_affinity",
      does: "The interrupt is locked, to be the host's again.",
      act: (state, frame) =>
        takeEntry(state, frame, 0) ? at["release-write-entry"] : at["release-take-entry"],
    },
    "release-write-entry": {
      routine: "amd_iommu_deactivate_guest_mode",
      does: "One cmpxchg16b makes the IRTE the host's, with the target that the interrupt has there.",
      act: (state, frame) => {
        writeMode(state, entryOf(state, frame), -1);
        return at["entry-invalidate"];
      },
    },
  };
}

/** The host moves an interrupt; and what every change of an entry's mode ends with. */
export function entrySteps(
  at: AvicNumbers,
): AvicStepsOf<
  "affinity-lock" | "guest-mode-guard" | "affinity-write" | "entry-invalidate" | "entry-unlock"
> {
  return {
    "affinity-lock": {
      routine: "__irq_set_affinity",
      does: "The host moves the interrupt to another CPU, and locks it to that end.",
      act: (state, frame) => (lockEntry(state, frame) ? at["guest-mode-guard"] : at["affinity-lock"]),
    },
    "guest-mode-guard": {
      local: true,
      routine: "irte_ga_set_affinity",
      does: "An IRTE in guest mode stays as it is: the host's new target is for when it comes back.",
      leftOut: {
        to: at["affinity-write"],
        bug: "Moving the interrupt on the host takes it away from the vCPU.",
      },
      act: (state, frame) =>
        state.ofEntry(entryOf(state, frame), AvicEntryWord.vcpu) >= 0
          ? at["entry-unlock"]
          : at["affinity-write"],
    },
    "affinity-write": {
      routine: "irte_ga_set_affinity",
      does: "One cmpxchg16b gives the IRTE the vector and the destination of the new CPU.",
      act: (state, frame) => {
        writeMode(state, entryOf(state, frame), -1);
        return at["entry-invalidate"];
      },
    },
    "entry-invalidate": {
      routine: "iommu_flush_irt_and_complete",
      does: "INVALIDATE_INTERRUPT_TABLE makes the unit forget the old IRTE, and COMPLETION_WAIT tells when.",
      leftOut: {
        to: at["entry-unlock"],
        bug: "The unit goes on with the IRTE that it holds, as it does with irtcachedis where the firmware has left the cache on.",
      },
      act: (state, frame) => {
        state.setOfEntry(entryOf(state, frame), AvicEntryWord.held, 0);
        return at["entry-unlock"];
      },
    },
    "entry-unlock": {
      routine: "irq_put_desc_unlock",
      does: "The interrupt is unlocked.",
      act: (state, frame) => {
        state.setOfEntry(entryOf(state, frame), AvicEntryWord.lock, 0);
        return state.take(frame + FrameWord.back);
      },
    },
  };
}

function lockEntry(state: AvicState, frame: number): boolean {
  const entry = entryOf(state, frame);
  if (state.ofEntry(entry, AvicEntryWord.lock) !== 0) return false;
  state.setOfEntry(entry, AvicEntryWord.lock, 1);
  return true;
}

/** KVM's turn to change the mode. @param asked {@link EntryWord.asked}. @returns whether the interrupt was unlocked. */
function takeEntry(state: AvicState, frame: number, asked: number): boolean {
  if (!lockEntry(state, frame)) return false;
  state.set(state.entryAt(entryOf(state, frame)) + EntryWord.asked, asked);
  return true;
}

/** @param vcpu -1 for the host. */
function writeMode(state: AvicState, entry: number, vcpu: number): void {
  state.setOfEntry(entry, AvicEntryWord.vcpu, vcpu);
  state.setOfEntry(entry, AvicEntryWord.isRun, 0);
  state.setOfEntry(entry, AvicEntryWord.gaLogIntr, 0);
  state.set(state.entryAt(entry) + EntryWord.posted, vcpu + 1);
}
