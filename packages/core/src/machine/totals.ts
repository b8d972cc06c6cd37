import { vectors } from "../linux/irq/vectors.ts";
import type { Kernel } from "../linux/kernel.ts";
import type { ExitReason, VcpuCounts } from "../linux/kvm/counts.ts";
import type { InterruptSource } from "./interrupt-source.ts";

/** Everything that is counted, at some moment. */
export interface Totals {
  readonly raised: number;
  readonly delivered: number;
  readonly coalesced: number;
  readonly blocked: number;
  readonly lost: number;
  readonly hijacked: number;
  readonly vmExits: number;
  readonly notifications: number;
  readonly hostInterrupts: number;
  readonly wakeups: number;
  /** IPIs that a handler in a guest took. */
  readonly ipis: number;
}

export interface Counted {
  readonly sources: readonly InterruptSource[];
  /** Every vCPU that there has been. */
  readonly vcpus: readonly VcpuCounts[];
  /** Every kernel that has run on the machine. */
  readonly kernels: readonly Kernel[];
  /** Every kernel that has run in a guest. */
  readonly guests: readonly Kernel[];
  /** Requests that the unit refused. */
  readonly blocked: number;
  readonly hijacked: number;
}

const notificationVectors = [
  vectors.POSTED_INTR,
  vectors.POSTED_INTR_WAKEUP,
  vectors.POSTED_MSI_NOTIFICATION,
];

/** Interrupts of the units themselves, which no device raised. */
const ownActions = /^(dmar|AMD-Vi)/;

export function totalsOf({ sources, vcpus, kernels, guests, blocked, hijacked }: Counted): Totals {
  return {
    raised: sum(sources, ({ raised }) => raised),
    delivered: sum(sources, ({ delivered }) => delivered),
    coalesced: sum(sources, ({ coalesced }) => coalesced),
    blocked,
    lost: sum(sources, ({ lost }) => lost),
    hijacked,
    vmExits: sum(vcpus, ({ allExits }) => allExits),
    notifications: sum(vcpus, ({ notifications }) => notifications) + sum(kernels, notificationsOf),
    hostInterrupts: sum(kernels, hostInterruptsOf),
    wakeups: sum(vcpus, ({ wakeUps }) => wakeUps),
    ipis: sum(guests, ({ irqs }) =>
      sum(irqs.systemVectors[vectors.RESCHEDULE]?.counts ?? [], (count) => count),
    ),
  };
}

/** VM exits by their reason, without those that did not happen. */
export function exitsOf(vcpus: readonly VcpuCounts[]): Partial<Record<ExitReason, number>> {
  const exits: Partial<Record<ExitReason, number>> = {};
  for (const counts of vcpus) {
    for (const [reason, count] of Object.entries(counts.exits) as [ExitReason, number][]) {
      if (count > 0) exits[reason] = (exits[reason] ?? 0) + count;
    }
  }
  return exits;
}

/** What changed from one moment to another. */
export function difference(after: Totals, before: Totals): Totals {
  const names = Object.keys(after) as (keyof Totals)[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as unknown as Totals;
}

/** Notifications that a CPU took in the host. */
function notificationsOf({ irqs }: Kernel): number {
  return sum(notificationVectors, (vector) =>
    sum(irqs.systemVectors[vector]?.counts ?? [], (count) => count),
  );
}

function hostInterruptsOf({ irqs }: Kernel): number {
  const own = [...irqs.descriptors.values()].filter(({ action }) => ownActions.test(action?.name ?? ""));
  return irqs.taken - sum(own, ({ counts }) => sum(counts, (count) => count));
}

function sum<T>(all: readonly T[], value: (one: T) => number): number {
  return all.reduce((total, one) => total + (value(one) ?? 0), 0);
}
