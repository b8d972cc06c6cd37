import * as physical from "../../spec/accessors/avic-physical-entry.ts";
import { entryOf, vcpuOf } from "./avic-frame.ts";
import { AvicEntryWord, AvicLogWord, type AvicState, AvicVcpuWord } from "./avic-state.ts";
import type { AvicNumbers, AvicStepsOf } from "./avic-steps.ts";
import { done } from "./step.ts";
import { FrameWord, VcpuWord } from "./words.ts";

// Hardware: the remapping unit, and processors in guest mode.

const { value: destination } = FrameWord;

/** The unit's copy of an entry: fetched if it has none. @returns {@link AvicEntryWord.held}. */
function lookUp(state: AvicState, entry: number): number {
  const held = state.ofEntry(entry, AvicEntryWord.held);
  if (held !== 0 || state.ofEntry(entry, AvicEntryWord.disabled) !== 0) return held;
  state.setOfEntry(entry, AvicEntryWord.held, state.ofEntry(entry, AvicEntryWord.vcpu) + 2);
  return state.ofEntry(entry, AvicEntryWord.held);
}

export function deviceSteps(
  at: AvicNumbers,
): AvicStepsOf<
  | "device-request"
  | "device-set-irr"
  | "device-test-running"
  | "device-doorbell"
  | "device-log"
  | "device-log-interrupt"
  | "doorbell-evaluate"
> {
  const routine = "hardware: guest virtual APIC";
  return {
    "device-request": {
      routine,
      does: "The unit finds the interrupt's IRTE, in its cache or in the table; what is not in guest mode goes to the host, whose handler gives it to KVM.",
      act: (state, frame) => {
        const entry = entryOf(state, frame);
        const held = lookUp(state, entry);
        if (held === 0) return done;
        if (held === 1) return at["software-request"];
        state.set(frame + FrameWord.vcpu, held - 2);
        return at["device-set-irr"];
      },
    },
    "device-set-irr": {
      routine,
      does: "The unit sets the vector in IRR of the backing page that the IRTE names.",
      act: (state, frame) => {
        state.port.request(vcpuOf(state, frame), state.get(frame + FrameWord.vector));
        return at["device-test-running"];
      },
    },
    "device-test-running": {
      routine,
      does: "With the vector set, the unit reads IsRun, Destination and GALogIntr of the IRTE anew: they are never kept.",
      act: (state, frame) => {
        const entry = entryOf(state, frame);
        // An entry that is no longer this vCPU's does not say where it is.
        if (state.ofEntry(entry, AvicEntryWord.vcpu) !== vcpuOf(state, frame)) return done;
        if (state.ofEntry(entry, AvicEntryWord.isRun) !== 0) {
          state.set(frame + destination, state.ofEntry(entry, AvicEntryWord.destination));
          return at["device-doorbell"];
        }
        return state.ofEntry(entry, AvicEntryWord.gaLogIntr) !== 0 ? at["device-log"] : done;
      },
    },
    "device-doorbell": {
      routine,
      does: "The doorbell of the destination is rung, wherever the vCPU is by now.",
      act: (state, frame) => {
        state.port.doorbell(state.take(frame + destination));
        return done;
      },
    },
    "device-log": {
      routine,
      does: "An entry is written to the guest log, and the log's tail moves on.",
      act: (state, frame) => {
        state.setAvic(frame, AvicVcpuWord.log, 1);
        state.port.logged(vcpuOf(state, frame));
        return at["device-log-interrupt"];
      },
    },
    "device-log-interrupt": {
      routine,
      does: "The unit sets GALogInt, and raises its interrupt if the bit was clear and the driver is not just clearing it (erratum 1312).",
      act: (state) => {
        const status = state.logAt + AvicLogWord.status;
        const driving = state.get(state.handlerAt(0) + FrameWord.step) !== done;
        if (state.get(status) === 0 && !driving) state.set(state.logAt + AvicLogWord.raised, 1);
        state.set(status, 1);
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
      does: "With the vector set, the processor reads the target's entry in the physical APIC id table; a target that does not run is left to KVM, by an exit.",
      act: (state, frame) => {
        const entry = state.physicalAt(vcpuOf(state, frame));
        // AVIC_IPI_FAILURE_TARGET_NOT_RUNNING
        if (physical.isrunning(state.tables, entry) === 0) return at["software-test-mode"];
        state.set(frame + destination, physical.host(state.tables, entry));
        return at["ipi-doorbell"];
      },
    },
    "ipi-doorbell": {
      routine,
      does: "The doorbell of the target's CPU is rung.",
      act: (state, frame) => {
        state.port.doorbell(state.take(frame + destination));
        return done;
      },
    },
  };
}
