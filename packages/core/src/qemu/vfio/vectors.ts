import type { MsiMessage } from "../../linux/irq/chip.ts";
import { qemuSetFdHandler } from "../aio/dispatch.ts";
import { EventNotifier, eventNotifierTestAndClear } from "../event-notifier.ts";
import {
  kvmIrqchipAddIrqfdNotifierGsi,
  kvmIrqchipAddMsiRoute,
  kvmIrqchipCommitRouteChanges,
  kvmIrqchipCommitRoutes,
  kvmIrqchipReleaseVirq,
  kvmIrqchipRemoveIrqfdNotifierGsi,
  kvmIrqchipUpdateMsiRoute,
} from "../kvm/irqchip.ts";
import { msiGetMessage, msiNotify } from "../pci/msi.ts";
import { msixGetMessage, msixIsMasked, msixNotify } from "../pci/msix.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { VfioVector, type VfioDevice, vfioRequest, vfioSetIrqSignaling } from "./device.ts";

/** The message that the guest has given a vector. */
export function messageOf({ fn, interrupt }: VfioDevice, vector: number): MsiMessage {
  return interrupt === "msix" ? msixGetMessage(fn.msix!, vector) : msiGetMessage(fn.msi!, vector);
}

/** An interrupt that KVM was not told how to deliver: QEMU does it, from its main loop. */
const vfioMsiInterrupt = qemuFunction(
  "vfio_msi_interrupt",
  (vmm: Vmm, device: VfioDevice, vector: VfioVector): void => {
    if (!eventNotifierTestAndClear(vmm, vector.interrupt)) return;
    const { msi, msix } = device.fn;
    if (device.interrupt === "msix" && msix !== null) {
      // A masked vector is pending now: the guest has to see that in the array that QEMU keeps.
      if (msixIsMasked(msix, vector.number)) setPbaEmulation(vmm, device, true);
      msixNotify(vmm, msix, vector.number);
    } else if (msi !== null) {
      msiNotify(vmm, msi, vector.number);
    }
  },
);

/** Lays QEMU's Pending Bit Array over the device's own, or takes it away. */
export function setPbaEmulation(vmm: Vmm, { fn }: VfioDevice, enabled: boolean): void {
  const region = fn.msix!.pbaRegion;
  if (region.enabled === enabled) return;
  region.enabled = enabled;
  vmm.memory.commit();
}

/** The guest uses a vector for the first time: QEMU hears it from now on. */
export function useVector(vmm: Vmm, device: VfioDevice, number: number): VfioVector {
  const vector = new VfioVector(device.name, number);
  device.vectors.set(number, vector);
  qemuSetFdHandler(vmm, vector.interrupt.eventfd, (vmm) => vfioMsiInterrupt(vmm, device, vector));
  return vector;
}

/** A route for the vector's message; KVM hears of it with the next commit. */
export const vfioAddKvmMsiVirq = qemuFunction(
  "vfio_add_kvm_msi_virq",
  (vmm: Vmm, device: VfioDevice, vector: VfioVector, message: MsiMessage): void => {
    if (!device.noKvmRoutes) vector.virq = kvmIrqchipAddMsiRoute(vmm, device.routeChange, message);
  },
);

/** KVM listens to an eventfd for the vector's route, before any device is told to signal it. */
export const vfioConnectKvmMsiVirq = qemuFunction(
  "vfio_connect_kvm_msi_virq",
  (vmm: Vmm, device: VfioDevice, vector: VfioVector): void => {
    if (vector.virq < 0) return;
    const notifier = new EventNotifier(`${device.name} vector ${vector.number} irqfd`);
    if (kvmIrqchipAddIrqfdNotifierGsi(vmm, notifier, vector.virq) < 0) {
      kvmIrqchipReleaseVirq(vmm, vector.virq);
      vector.virq = -1;
      return;
    }
    vector.kvmInterrupt = notifier;
  },
);

export const vfioRemoveKvmMsiVirq = qemuFunction(
  "vfio_remove_kvm_msi_virq",
  (vmm: Vmm, vector: VfioVector): void => {
    if (vector.kvmInterrupt !== null) kvmIrqchipRemoveIrqfdNotifierGsi(vmm, vector.kvmInterrupt, vector.virq);
    kvmIrqchipReleaseVirq(vmm, vector.virq);
    vector.virq = -1;
    vector.kvmInterrupt = null;
  },
);

/** The guest has changed a message: the route's GSI stays, KVM hears of the new one at once. */
export const vfioUpdateKvmMsiVirq = qemuFunction(
  "vfio_update_kvm_msi_virq",
  (vmm: Vmm, vector: VfioVector, message: MsiMessage): void => {
    kvmIrqchipUpdateMsiRoute(vmm, vector.virq, message);
    kvmIrqchipCommitRoutes(vmm);
  },
);

export const vfioPrepareKvmMsiVirqBatch = qemuFunction(
  "vfio_prepare_kvm_msi_virq_batch",
  (_vmm: Vmm, device: VfioDevice): void => void (device.deferRouting = true),
  inlined,
);

/** Tells KVM of all routes at once, then lets it listen for each. */
export const vfioCommitKvmMsiVirqBatch = qemuFunction(
  "vfio_commit_kvm_msi_virq_batch",
  (vmm: Vmm, device: VfioDevice): void => {
    device.deferRouting = false;
    kvmIrqchipCommitRouteChanges(vmm, device.routeChange);
    for (const vector of device.vectors.values()) vfioConnectKvmMsiVirq(vmm, device, vector);
  },
);

/** MSI-X is enabled on the host, with no vector that signals anybody. @returns 0, or a negative errno. */
export const vfioEnableMsixNoVec = qemuFunction(
  "vfio_enable_msix_no_vec",
  (vmm: Vmm, device: VfioDevice): number =>
    vfioRequest(vmm, device, {
      request: "VFIO_DEVICE_SET_IRQS",
      index: "msix",
      start: 0,
      eventfds: [null],
    }),
);

/** Asks VFIO for all vectors in one request. @returns 0, a number of vectors that there would be, or a negative errno. */
export const vfioEnableVectors = qemuFunction(
  "vfio_enable_vectors",
  (vmm: Vmm, device: VfioDevice, index: "msi" | "msix"): number => {
    if (index === "msix" && !device.noresize) {
      const result = vfioEnableMsixNoVec(vmm, device);
      if (result !== 0) return result;
    }
    const eventfds = Array.from({ length: device.vectorCount }, (_, number) => {
      const vector = device.vectors.get(number);
      if (vector === undefined) return null;
      const masked = index === "msix" && msixIsMasked(device.fn.msix!, number);
      return (masked ? vector.interrupt : (vector.kvmInterrupt ?? vector.interrupt)).eventfd;
    });
    return vfioRequest(vmm, device, { request: "VFIO_DEVICE_SET_IRQS", index, start: 0, eventfds });
  },
);

/** One vector is signalled to KVM where it has a route there, and else to QEMU. */
export function signalVector(
  vmm: Vmm,
  device: VfioDevice,
  { number, interrupt, kvmInterrupt }: VfioVector,
): void {
  vfioSetIrqSignaling(vmm, device, "msix", number, (kvmInterrupt ?? interrupt).eventfd);
}

/** What MSI and MSI-X have in common when they end. The device would go back to INTx, which is not modelled. */
export const vfioMsiDisableCommon = qemuFunction(
  "vfio_msi_disable_common",
  (vmm: Vmm, device: VfioDevice): void => {
    for (const vector of device.vectors.values()) {
      if (vector.virq >= 0) vfioRemoveKvmMsiVirq(vmm, vector);
      qemuSetFdHandler(vmm, vector.interrupt.eventfd, null);
    }
    device.vectors.clear();
    device.vectorCount = 0;
    device.interrupt = "none";
  },
);
