import { errno } from "./errno.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";

/** A kernel's own waiter on an eventfd. @returns whether it took the signal: then nobody behind it is woken. */
export type EventfdWaiter = (k: Kernel) => boolean;

/** `struct eventfd_ctx`: a counter that the kernel signals, with those who wait for it. */
export class Eventfd {
  readonly name: string;
  count = 0;
  /** KVM's irqfds: priority waiters, ahead of userspace. */
  readonly waiters: EventfdWaiter[] = [];
  /** Told when userspace that polls it finds it readable. */
  onReadable: (() => void) | null = null;

  constructor(name: string) {
    this.name = name;
  }
}

const wakeUpCommon = kernelFunction("__wake_up_common", (k: Kernel, eventfd: Eventfd): void => {
  for (const waiter of eventfd.waiters) if (waiter(k)) return;
  eventfd.onReadable?.();
});

const wakeUpLockedKey = kernelFunction(
  "__wake_up_locked_key",
  (k: Kernel, eventfd: Eventfd): void => wakeUpCommon(k, eventfd),
  { tailCalls: { __wake_up_common: true } },
);

function countAndWake(k: Kernel, eventfd: Eventfd): void {
  eventfd.count++;
  if (eventfd.waiters.length > 0 || eventfd.onReadable !== null) wakeUpLockedKey(k, eventfd);
}

const eventfdSignalMask = kernelFunction("eventfd_signal_mask", countAndWake);

const oldEventfdSignal = kernelFunction("eventfd_signal", countAndWake);

/** Adds one to the counter and wakes who waits; a function of its own until 6.8 made it a call of `eventfd_signal_mask`. */
export function eventfdSignal(k: Kernel, eventfd: Eventfd): void {
  if (k.runs({ from: "6.8" })) eventfdSignalMask(k, eventfd);
  else oldEventfdSignal(k, eventfd);
}

/** Takes the whole count, as a waiter does or read(2). @returns the count; -EAGAIN when it is zero. */
export function eventfdRead(eventfd: Eventfd): number {
  const { count } = eventfd;
  eventfd.count = 0;
  return count === 0 ? -errno.EAGAIN : count;
}

/**
 * `add_wait_queue_priority_exclusive`: an eventfd has one priority waiter at most.
 * Before 6.17 that was not seen to: several VMs could wait for one eventfd.
 */
export function addPriorityWaiter(k: Kernel, eventfd: Eventfd, waiter: EventfdWaiter): number {
  if (k.runs({ from: "6.17" }) && eventfd.waiters.length > 0) return -errno.EBUSY;
  eventfd.waiters.push(waiter);
  return 0;
}

export function removeWaiter(eventfd: Eventfd, waiter: EventfdWaiter): void {
  const at = eventfd.waiters.indexOf(waiter);
  if (at >= 0) eventfd.waiters.splice(at, 1);
}
