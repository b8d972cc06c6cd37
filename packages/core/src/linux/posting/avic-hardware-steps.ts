import * as physical from "../../spec/accessors/avic-physical-entry.ts";
import { entryOf, vcpuOf } from "./avic-frame.ts";
import { AvicEntryWord, AvicVcpuWord } from "./avic-state.ts";
import type { AvicNumbers, AvicStepsOf } from "./avic-steps.ts";
import { done } from "./step.ts";
import { FrameWord, VcpuWord } from "./words.ts";

// Hardware: the remapping unit, and processors in guest mode.

export function deviceSteps(
  at: AvicNumbers,
): AvicStepsOf<
  "device-request" | "device-test-running" | "device-doorbell" | "device-log" | "doorbell-evaluate"
> {
  const routine = "hardware: guest virtual APIC";
  return {
    "device-request": {
      routine,
      does: "The unit sets the vector in IRR of the backing page that the entry names.",
      act: (state, frame) => {
        const vcpu = state.ofEntry(entryOf(state, frame), AvicEntryWord.vcpu);
        if (vcpu < 0) return done;
        state.set(frame + FrameWord.vcpu, vcpu);
        state.port.request(vcpu, state.get(frame + FrameWord.vector));
        return at["device-test-running"];
      },
    },
    "device-test-running": {
      routine,
      does: "It reads IsRun, Destination and GALogIntr of the entry anew: they are never kept.",
      act: (state, frame) => {
        const entry = entryOf(state, frame);
        state.set(frame + FrameWord.value, state.ofEntry(entry, AvicEntryWord.destination));
        if (state.ofEntry(entry, AvicEntryWord.isRun) !== 0) return at["device-doorbell"];
        return state.ofEntry(entry, AvicEntryWord.gaLogIntr) !== 0 ? at["device-log"] : done;
      },
    },
    "device-doorbell": {
      routine,
      does: "The doorbell of the destination is rung, wherever the vCPU is by now.",
      act: (state, frame) => {
        state.port.doorbell(state.take(frame + FrameWord.value));
        return done;
      },
    },
    "device-log": {
      routine,
      does: "An entry is written to the guest log, and the unit raises its interrupt.",
      act: (state, frame) => {
        state.setAvic(frame, AvicVcpuWord.log, 1);
        state.port.logged(vcpuOf(state, frame));
        return done;
      },
    },
    "doorbell-evaluate": {
      routine: "hardware: doorbell",
      does: "A processor in guest mode looks at its backing page; any other ignores the doorbell.",
      act: (state, frame) => {
        if (state.ofVcpu(frame, VcpuWord.inGuest) !== 0) state.port.evaluate(vcpuOf(state, frame));
        return done;
      },
    },
  };
}

export function ipiSteps(at: AvicNumbers): AvicStepsOf<"ipi-request" | "ipi-test-running" | "ipi-doorbell"> {
  const routine = "hardware: AVIC IPI";
  return {
    "ipi-request": {
      routine,
      does: "The sender's processor sets the vector in IRR of the target's backing page.",
      act: (state, frame) => {
        state.port.request(vcpuOf(state, frame), state.get(frame + FrameWord.vector));
        return at["ipi-test-running"];
      },
    },
    "ipi-test-running": {
      routine,
      does: "It reads the target's entry in the physical APIC id table; a target that does not run is left to KVM.",
      act: (state, frame) => {
        const entry = state.physicalAt(vcpuOf(state, frame));
        state.set(frame + FrameWord.value, physical.host(state.tables, entry));
        // AVIC_IPI_FAILURE_TARGET_NOT_RUNNING
        return physical.isrunning(state.tables, entry) === 1 ? at["ipi-doorbell"] : at["software-test-mode"];
      },
    },
    "ipi-doorbell": {
      routine,
      does: "The doorbell of the target's CPU is rung.",
      act: (state, frame) => {
        state.port.doorbell(state.take(frame + FrameWord.value));
        return done;
      },
    },
  };
}
