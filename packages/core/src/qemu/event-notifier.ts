import { Eventfd, eventfdRead, eventfdSignal } from "../linux/eventfd.ts";
import { syscall } from "../linux/syscall.ts";
import { inlined, qemuFunction } from "./qemu-function.ts";
import type { Vmm } from "./vmm.ts";

/** QEMU's `EventNotifier`: an eventfd that it has opened. */
export class EventNotifier {
  readonly eventfd: Eventfd;

  constructor(name: string) {
    this.eventfd = new Eventfd(name);
  }
}

export const eventNotifierSet = qemuFunction(
  "event_notifier_set",
  (vmm: Vmm, notifier: EventNotifier): void => {
    syscall(vmm.k, (k) => eventfdSignal(k, notifier.eventfd));
  },
);

/** @returns whether it was set. */
export const eventNotifierTestAndClear = qemuFunction(
  "event_notifier_test_and_clear",
  (_vmm: Vmm, notifier: EventNotifier): boolean => eventfdRead(notifier.eventfd) > 0,
  inlined,
);
