import { errno } from "../errno.ts";
import {
  type Eventfd,
  type EventfdWaiter,
  addPriorityWaiter,
  eventfdRead,
  removeWaiter,
} from "../eventfd.ts";
import {
  type IrqBypassConsumer,
  type IrqBypassProducer,
  irqBypassRegisterConsumer,
  irqBypassUnregisterConsumer,
} from "../irqbypass.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { hashedPointer } from "../pointer.ts";
import { queueWork } from "../workqueue.ts";
import {
  kvmArchHasIrqBypass,
  kvmArchIrqBypassAddProducer,
  kvmArchIrqBypassDelProducer,
  kvmArchUpdateIrqfdRouting,
} from "./bypass.ts";
import { kvmArchSetIrqInatomic, kvmSetIrq } from "./delivery.ts";
import type { PostingRefusal } from "./posting-refusal.ts";
import type { MsiRoute } from "./requests.ts";
import type { Vcpu } from "./vcpu.ts";
import type { KvmVm } from "./vm.ts";

/** Since 5.11 an irqfd takes a signal for itself; before, userspace that polled the eventfd saw it too. */
const takesSignals = { from: "5.11" };

/** `struct kvm_kernel_irqfd`: an eventfd whose signals become an interrupt of a VM. */
export class KvmIrqfd {
  readonly vm: KvmVm;
  readonly eventfd: Eventfd;
  readonly gsi: number;
  /** The GSI's MSI route, kept at hand for the fast path. */
  entry: MsiRoute | null = null;
  /** The device interrupt that signals the eventfd. */
  producer: IrqBypassProducer | null = null;
  /** The vCPU that the device interrupt is posted to. */
  bypassVcpu: Vcpu | null = null;
  /** Why it is posted to none, as of the last update of its entry. */
  refusal: PostingRefusal | null = "no-producer";
  readonly consumer: IrqBypassConsumer = {
    eventfd: null,
    producer: null,
    addProducer: (k, producer) => kvmArchIrqBypassAddProducer(k, this, producer),
    delProducer: (k, producer) => kvmArchIrqBypassDelProducer(k, this, producer),
    stop: (k) => kvmArchIrqBypassStop(k),
    start: (k) => kvmArchIrqBypassStart(k),
  };
  readonly wait: EventfdWaiter = (k) => irqfdWakeup(k, this);

  constructor(vm: KvmVm, eventfd: Eventfd, gsi: number) {
    this.vm = vm;
    this.eventfd = eventfd;
    this.gsi = gsi;
  }
}

const kvmArchIrqBypassStop = kernelFunction("kvm_arch_irq_bypass_stop", (_k: Kernel): void => {});

const kvmArchIrqBypassStart = kernelFunction("kvm_arch_irq_bypass_start", (_k: Kernel): void => {});

/** Delivers what could not be delivered on the spot. */
const irqfdInject = kernelFunction("irqfd_inject", (k: Kernel, { vm, gsi }: KvmIrqfd): void => {
  kvmSetIrq(k, vm, gsi);
});

/** The eventfd was signalled. @returns whether the signal is taken. */
const irqfdWakeup = kernelFunction("irqfd_wakeup", (k: Kernel, irqfd: KvmIrqfd): boolean => {
  const takes = k.runs(takesSignals);
  if (takes) eventfdRead(irqfd.eventfd);
  if (k.kvm !== null) k.kvm.injections++;
  if (kvmArchSetIrqInatomic(k, irqfd.vm, irqfd.entry) === -errno.EAGAIN) injectLater(k, irqfd);
  return takes;
});

function injectLater(k: Kernel, irqfd: KvmIrqfd): void {
  queueWork(k, "kworker/0:1", (kernel) => irqfdInject(kernel, irqfd));
}

const irqfdUpdate = kernelFunction("irqfd_update", (_k: Kernel, irqfd: KvmIrqfd): void => {
  irqfd.entry = irqfd.vm.interrupts.routing.get(irqfd.gsi) ?? null;
});

const kvmIrqfdAssign = kernelFunction(
  "kvm_irqfd_assign",
  (k: Kernel, vm: KvmVm, eventfd: Eventfd, gsi: number): number => {
    const { irqfds, irqchipInKernel } = vm.interrupts;
    if (!irqchipInKernel) return -errno.EINVAL;
    if ([...irqfds].some((other) => other.eventfd === eventfd)) return -errno.EBUSY;
    const irqfd = new KvmIrqfd(vm, eventfd, gsi);
    irqfdUpdate(k, irqfd);
    const waits = addPriorityWaiter(k, eventfd, irqfd.wait);
    if (waits !== 0) return waits;
    irqfds.add(irqfd);
    // Signalled before anybody waited.
    if (eventfd.count > 0) injectLater(k, irqfd);
    if (kvmArchHasIrqBypass(k)) registerConsumer(k, irqfd);
    return 0;
  },
  { inlined: true },
);

/** Without it the interrupt goes through the host, as it would without posting. */
function registerConsumer(k: Kernel, { consumer, eventfd }: KvmIrqfd): void {
  const result = irqBypassRegisterConsumer(k, consumer, eventfd);
  if (result === 0) return;
  const key = k.runs({ from: "6.17" }) ? "eventfd" : "token";
  k.log.info(`irq bypass consumer (${key} ${hashedPointer(eventfd.name)}) registration fails: ${result}`);
}

const irqfdShutdown = kernelFunction("irqfd_shutdown", (k: Kernel, irqfd: KvmIrqfd): void => {
  removeWaiter(irqfd.eventfd, irqfd.wait);
  irqBypassUnregisterConsumer(k, irqfd.consumer);
});

/** The irqfd is gone at once; what it holds is released by a worker. */
function deactivate(k: Kernel, irqfd: KvmIrqfd): void {
  irqfd.vm.interrupts.irqfds.delete(irqfd);
  queueWork(k, "kworker/u8:kvm-irqfd-cleanup", (kernel) => irqfdShutdown(kernel, irqfd));
}

const kvmIrqfdDeassign = kernelFunction(
  "kvm_irqfd_deassign",
  (k: Kernel, vm: KvmVm, eventfd: Eventfd, gsi: number): number => {
    for (const irqfd of vm.interrupts.irqfds) {
      if (irqfd.eventfd === eventfd && irqfd.gsi === gsi) deactivate(k, irqfd);
    }
    return 0;
  },
  { inlined: true },
);

/** KVM_IRQFD. @returns 0; -EBUSY when the eventfd is an irqfd already, -EINVAL without an interrupt controller. */
export const kvmIrqfd = kernelFunction(
  "kvm_irqfd",
  (k: Kernel, vm: KvmVm, eventfd: Eventfd, gsi: number, deassign: boolean): number =>
    deassign ? kvmIrqfdDeassign(k, vm, eventfd, gsi) : kvmIrqfdAssign(k, vm, eventfd, gsi),
);

/** The VM's file is closed. */
export const kvmIrqfdRelease = kernelFunction("kvm_irqfd_release", (k: Kernel, vm: KvmVm): void => {
  for (const irqfd of vm.interrupts.irqfds) deactivate(k, irqfd);
});

/** The routing table has changed. */
export const kvmIrqRoutingUpdate = kernelFunction("kvm_irq_routing_update", (k: Kernel, vm: KvmVm): void => {
  for (const irqfd of vm.interrupts.irqfds) {
    const before = irqfd.entry;
    irqfdUpdate(k, irqfd);
    if (irqfd.producer !== null) kvmArchUpdateIrqfdRouting(k, irqfd, before, irqfd.entry);
  }
});
