import type { VmxCast } from "./vmx-cast.ts";
import type { Move } from "./world.ts";

/** Kinds of moves; a code is a kind and up to two small numbers. */
export const Kind = {
  other: 0,
  handler: 1,
  thread: 2,
  acknowledge: 3,
  hostNotification: 4,
  wakeup: 5,
  otherInterrupt: 6,
  exit: 7,
  schedule: 8,
  takes: 9,
  halts: 10,
  preemptGuest: 11,
  preempt: 12,
  reschedule: 13,
} as const;

export function codeOf(kind: number, index: number, cpu = 0): number {
  return (kind << 8) | (index << 4) | cpu;
}

/** Who makes a move. */
export function actorOf(cast: VmxCast, move: number): string {
  const index = (move >>> 4) & 15;
  switch (move >>> 8) {
    case Kind.other:
      if (index < cast.devices) return `device ${index}`;
      return index < cast.others - cast.play.beside.length ? "software" : "host";
    case Kind.handler:
    case Kind.acknowledge:
    case Kind.hostNotification:
    case Kind.wakeup:
    case Kind.otherInterrupt:
      return `cpu ${index}`;
    case Kind.exit:
      return `vcpu ${cast.currentOf(index)}`;
    default:
      return `vcpu ${index}`;
  }
}

/** What is not a step's doing alone. */
export const happenings: Readonly<Record<number, Omit<Move, "actor" | "then">>> = {
  [Kind.otherInterrupt]: {
    step: "cpu takes interrupt",
    routine: "host",
    does: "The CPU takes an interrupt that is about no vCPU.",
  },
  [Kind.exit]: {
    step: "guest interrupted",
    routine: "hardware: VM exit",
    does: "An interrupt that is not the guest's ends the time in guest mode.",
  },
  [Kind.schedule]: {
    step: "thread scheduled",
    routine: "scheduler",
    does: "The thread gets a CPU.",
  },
  [Kind.takes]: {
    step: "guest takes interrupts",
    routine: "guest",
    does: "The guest's handlers run for what is in IRR.",
  },
  [Kind.halts]: { step: "guest halts", routine: "guest", does: "The guest executes HLT: VM exit." },
  [Kind.preemptGuest]: {
    step: "thread to be preempted",
    routine: "scheduler",
    does: "Another thread is to have the CPU: VM exit.",
  },
  [Kind.preempt]: { step: "thread preempted", routine: "scheduler", does: "Another thread gets the CPU." },
  [Kind.reschedule]: { step: "thread preempted", routine: "scheduler", does: "Another thread gets the CPU." },
};
