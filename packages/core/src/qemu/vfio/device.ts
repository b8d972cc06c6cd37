import type { PciFunction } from "../../hardware/pci/function.ts";
import type { Eventfd } from "../../linux/eventfd.ts";
import type { PciAccess } from "../../linux/pci/device.ts";
import { type File, ioctl } from "../../linux/syscall.ts";
import type { VfioRequest } from "../../linux/vfio/requests.ts";
import { EventNotifier } from "../event-notifier.ts";
import { RouteChange } from "../kvm/irqchip.ts";
import { qemuFunction } from "../qemu-function.ts";
import type { EmulatedFunction } from "../pci/function.ts";
import type { Vmm } from "../vmm.ts";

/** A BAR as VFIO_DEVICE_GET_REGION_INFO tells of it. */
export interface VfioRegion {
  readonly index: number;
  readonly size: number;
  readonly kind: "memory32" | "memory64";
  readonly prefetchable?: boolean;
}

/** `VFIOMSIVector`: one vector of an assigned device. */
export class VfioVector {
  readonly number: number;
  /** Heard by QEMU. */
  readonly interrupt: EventNotifier;
  /** Heard by KVM, which raises the route's GSI; null without a route. */
  kvmInterrupt: EventNotifier | null = null;
  /** GSI of the route to the guest; -1 without one. */
  virq = -1;

  constructor(device: string, number: number) {
    this.number = number;
    this.interrupt = new EventNotifier(`${device} vector ${number}`);
  }
}

export interface VfioOptions {
  readonly name: string;
  /** Requester id in the guest. */
  readonly requester: number;
  /** The device's file: VFIO answers its requests. */
  readonly file: File;
  /** The function itself, as VFIO gives access to its regions. */
  readonly access: PciAccess;
  readonly regions: readonly VfioRegion[];
  /**
   * VFIO_IRQ_INFO_NORESIZE: vectors cannot be added to MSI-X while it is enabled. Unless told, as the host's release has it:
   * from 6.5 on they can.
   */
  readonly noresize?: boolean;
  /** `x-no-kvm-msix`, `x-no-kvm-msi`: QEMU delivers every interrupt itself. */
  readonly noKvmRoutes?: boolean;
  /**
   * `vfio-no-msix-emulation`: no trap lies over the MSI-X table. The kernel allows it since 4.16 to map the table's page
   * (VFIO_REGION_INFO_CAP_MSIX_MAPPABLE), and a guest then programs the device itself.
   */
  readonly noMsixEmulation?: boolean;
}

/** `VFIOPCIDevice`: a host's function, assigned to the guest. */
export class VfioDevice {
  readonly name: string;
  readonly file: File;
  readonly access: PciAccess;
  readonly noresize: boolean;
  readonly noKvmRoutes: boolean;
  /** What the guest sees of it. */
  readonly fn: EmulatedFunction;
  interrupt: "none" | "msi" | "msix" = "none";
  /** By number; a vector that the guest does not use has none. */
  readonly vectors = new Map<number, VfioVector>();
  /** Vectors that the host has been asked for: one more than the highest. */
  vectorCount = 0;
  /** Routes are told to KVM all at once, when the batch ends. */
  deferRouting = false;
  readonly routeChange = new RouteChange();

  constructor(vmm: Vmm, options: VfioOptions, fn: EmulatedFunction) {
    this.name = options.name;
    this.file = options.file;
    this.access = options.access;
    this.noresize = options.noresize ?? vmm.k.runs({ below: "6.5" });
    this.noKvmRoutes = options.noKvmRoutes ?? false;
    this.fn = fn;
  }
}

/** What VFIO would tell of a function's BARs. */
export function regionsOf(fn: PciFunction): VfioRegion[] {
  return fn.bars.flatMap(({ index, size, kind }) => (kind === "io" ? [] : [{ index, size, kind }]));
}

/** @returns 0, or a negative errno. */
export function vfioRequest(vmm: Vmm, device: VfioDevice, request: VfioRequest): number {
  return ioctl(vmm.k, device.file, request);
}

/** Lets an eventfd hear a vector, or with null nobody. */
export const vfioSetIrqSignaling = qemuFunction(
  "vfio_set_irq_signaling",
  (vmm: Vmm, device: VfioDevice, index: "msi" | "msix", start: number, eventfd: Eventfd | null): number =>
    vfioRequest(vmm, device, { request: "VFIO_DEVICE_SET_IRQS", index, start, eventfds: [eventfd] }),
);

/** All vectors of a kind are given up, and the host's device is without interrupts. */
export const vfioDisableIrqindex = qemuFunction(
  "vfio_disable_irqindex",
  (vmm: Vmm, device: VfioDevice, index: "msi" | "msix"): number =>
    vfioRequest(vmm, device, { request: "VFIO_DEVICE_SET_IRQS", index, start: 0, eventfds: [] }),
);
