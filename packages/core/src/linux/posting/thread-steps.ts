import { assignmentSteps } from "./assignment-steps.ts";
import { type Absence, type Step, done, numberSteps } from "./step.ts";
import { FrameWord, Mode, type ThreadPort, type ThreadState, VcpuWord } from "./words.ts";

/** Steps that a vCPU's thread and those who wake it do whatever the vendor. They come first in every table. */
export const threadStepIds = [
  "choose",
  "entry-disable-interrupts",
  "entry-mark-in-guest",
  "sync-pir-on-entry",
  "entry-test-requests",
  "entry-resume",
  "entry-cancel",
  "exit-leave-guest",
  "exit-mark-outside",
  "block-prepare",
  "block-set-state",
  "block-check",
  "block-test",
  "block-finish",
  "preempt",
  "schedule-out",
  "schedule-off",
  "schedule-in",
  "schedule-loaded",
  "wake-vcpu",
  "assign-count",
  "kick-on-assign",
  "kick-request",
  "kick-exit",
  "kick-notify",
  "release-count",
] as const;

export type ThreadStepId = (typeof threadStepIds)[number];

/** A state whose protocol is a thread's, with whatever the vendor's steps need beside it. */
export interface WithPort {
  readonly port: ThreadPort;
}

/** A table as those see it who know no vendor. */
export interface ThreadTable {
  readonly at: Readonly<Record<ThreadStepId, number>>;
  readonly steps: readonly Step<ThreadState>[];
  run(state: ThreadState, frame: number, from: number): number;
}

/** Where the vendor's part of a thread's way begins: numbers of steps. */
export interface VendorSteps {
  /** Brings what was posted to IRR, and goes on at {@link FrameWord.back}. */
  readonly sync: number;
  /** The thread gets a CPU; ends in `schedule-loaded`. */
  readonly load: number;
  /** The thread loses its CPU; ends in `schedule-off`. */
  readonly put: number;
  /** KVM points the interrupt at the vCPU. */
  readonly assign: number;
  readonly absences: Readonly<Partial<Record<ThreadStepId, Absence>>>;
}

/** @param at numbers of the thread's steps in the vendor's table. */
export function threadSteps<S extends ThreadState & WithPort>(
  at: Readonly<Record<ThreadStepId, number>>,
  vendor: VendorSteps,
): Record<ThreadStepId, Step<S>> {
  const steps: Record<ThreadStepId, Step<S>> = {
    choose: {
      local: true,
      routine: "vcpu_run",
      does: "A halted vCPU without an interrupt blocks; any other enters its guest.",
      act: (state, frame) => {
        const halted = state.ofVcpu(frame, VcpuWord.halted) !== 0;
        if (halted && !state.port.hasInterrupt(state.get(frame + FrameWord.vcpu))) return at["block-prepare"];
        state.setOfVcpu(frame, VcpuWord.halted, 0);
        return at["entry-disable-interrupts"];
      },
    },

    "entry-disable-interrupts": {
      routine: "vcpu_enter_guest",
      does: "The thread turns interrupts off on its CPU: what comes now waits until the guest runs.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.interruptsOff, 1);
        return at["entry-mark-in-guest"];
      },
    },
    "entry-mark-in-guest": {
      routine: "vcpu_enter_guest",
      does: "The vCPU's mode becomes IN_GUEST_MODE: from now on others send IPIs instead of counting on the VM entry.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.mode, Mode.inGuest);
        return at["sync-pir-on-entry"];
      },
    },
    "sync-pir-on-entry": {
      routine: "vcpu_enter_guest",
      does: "With interrupts off and the vCPU marked, what was posted so far is brought to IRR.",
      act: (state, frame) => {
        state.set(frame + FrameWord.back, at["entry-test-requests"]);
        return vendor.sync;
      },
    },
    "entry-test-requests": {
      routine: "vcpu_enter_guest",
      does: "A request that came in the meantime, or a kick that moved the mode on, sends the thread back.",
      act: (state, frame) =>
        state.ofVcpu(frame, VcpuWord.mode) === Mode.exiting || state.ofVcpu(frame, VcpuWord.unblock) !== 0
          ? at["entry-cancel"]
          : at["entry-resume"],
    },
    "entry-resume": {
      routine: "vcpu_enter_guest",
      does: "VM entry: interrupts that waited on the CPU are the guest's processor's to see to.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.inGuest, 1);
        return done;
      },
    },
    "entry-cancel": {
      routine: "vcpu_enter_guest",
      does: "The thread gives the VM entry up, serves what was requested and starts over.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.mode, Mode.outside);
        state.setOfVcpu(frame, VcpuWord.unblock, 0);
        state.setOfVcpu(frame, VcpuWord.interruptsOff, 0);
        return at.choose;
      },
    },
    "exit-leave-guest": {
      routine: "vcpu_enter_guest",
      does: "VM exit: the thread is back in the host, with interrupts off.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.inGuest, 0);
        return at["exit-mark-outside"];
      },
    },
    "exit-mark-outside": {
      routine: "vcpu_enter_guest",
      does: "The vCPU's mode becomes OUTSIDE_GUEST_MODE, and interrupts are let in again.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.mode, Mode.outside);
        state.setOfVcpu(frame, VcpuWord.interruptsOff, 0);
        return at.choose;
      },
    },

    "block-prepare": {
      routine: "kvm_vcpu_block",
      does: "The thread makes itself known as one that others have to wake.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.blocking, 1);
        return at["block-set-state"];
      },
    },
    "block-set-state": {
      routine: "kvm_vcpu_block",
      does: "The thread's state becomes TASK_INTERRUPTIBLE, before it looks for a reason not to sleep.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.sleeping, 1);
        return at["block-check"];
      },
    },
    "block-check": {
      routine: "kvm_vcpu_check_block",
      does: "To see whether the vCPU can run, what was posted is brought to IRR.",
      act: (state, frame) => {
        state.set(frame + FrameWord.back, at["block-test"]);
        return vendor.sync;
      },
    },
    "block-test": {
      routine: "kvm_vcpu_check_block",
      does: "An interrupt for the vCPU, or a request to stop blocking, ends the wait.",
      act: (state, frame) => {
        if (state.port.hasInterrupt(state.get(frame + FrameWord.vcpu))) return at["block-finish"];
        if (state.ofVcpu(frame, VcpuWord.unblock) !== 0) {
          state.setOfVcpu(frame, VcpuWord.unblock, 0);
          return at["block-finish"];
        }
        state.set(frame + FrameWord.resume, at["block-set-state"]);
        return at["schedule-out"];
      },
    },
    "block-finish": {
      routine: "kvm_vcpu_block",
      does: "The thread no longer waits to be woken.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.sleeping, 0);
        state.setOfVcpu(frame, VcpuWord.blocking, 0);
        return at.choose;
      },
    },

    preempt: {
      routine: "kvm_sched_out",
      does: "The scheduler takes the CPU from the thread, which would run on, whatever state it has set.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.interruptsOff, 1);
        state.setOfVcpu(frame, VcpuWord.preempted, 1);
        return vendor.put;
      },
    },
    "schedule-out": {
      routine: "kvm_sched_out",
      does: "The thread gives its CPU up to sleep; if it was woken since it decided to, it counts as preempted.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.interruptsOff, 1);
        state.setOfVcpu(frame, VcpuWord.preempted, state.ofVcpu(frame, VcpuWord.sleeping) ^ 1);
        return vendor.put;
      },
    },
    "schedule-off": {
      routine: "kvm_sched_out",
      does: "Another thread has the CPU, and interrupts are on again.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.interruptsOff, 0);
        state.setOfVcpu(frame, VcpuWord.loaded, 0);
        return done;
      },
    },
    "schedule-in": {
      routine: "kvm_sched_in",
      does: "The scheduler gives the thread a CPU, the one that it had or another.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.preempted, 0);
        state.setOfVcpu(frame, VcpuWord.loaded, 1);
        return vendor.load;
      },
    },
    "schedule-loaded": {
      routine: "kvm_sched_in",
      does: "The vCPU is loaded where its thread runs, which goes on where it was.",
      act: (state, frame) => {
        state.setOfVcpu(frame, VcpuWord.cpu, state.get(frame + FrameWord.cpu));
        return state.take(frame + FrameWord.resume);
      },
    },

    "wake-vcpu": {
      routine: "kvm_vcpu_wake_up",
      does: "A thread that waits to be woken may run again; to any other nothing happens.",
      act: (state, frame) => {
        if (state.ofVcpu(frame, VcpuWord.blocking) !== 0) {
          state.setOfVcpu(frame, VcpuWord.sleeping, 0);
          state.port.woken(state.get(frame + FrameWord.vcpu));
        }
        return state.take(frame + FrameWord.back);
      },
    },

    ...assignmentSteps(at, vendor.assign),
  };
  for (const id of threadStepIds) {
    const leftOut = vendor.absences[id];
    if (leftOut !== undefined) steps[id] = { ...steps[id], leftOut };
  }
  return steps;
}

/** The numbers of these steps, the same in every table. */
export const threadStep = numberSteps(threadStepIds);
