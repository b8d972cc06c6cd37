import type { MsiMessage } from "../../linux/irq/chip.ts";
import { kvmIrqchipCommitRouteChanges } from "../kvm/irqchip.ts";
import {
  msixSetVectorNotifiers,
  msixUnsetVectorNotifiers,
  msixVectorUnuse,
  msixVectorUse,
} from "../pci/msix.ts";
import { qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { type VfioDevice, vfioDisableIrqindex, vfioSetIrqSignaling } from "./device.ts";
import {
  setPbaEmulation,
  signalVector,
  useVector,
  vfioAddKvmMsiVirq,
  vfioCommitKvmMsiVirqBatch,
  vfioConnectKvmMsiVirq,
  vfioEnableMsixNoVec,
  vfioEnableVectors,
  vfioMsiDisableCommon,
  vfioPrepareKvmMsiVirqBatch,
  vfioUpdateKvmMsiVirq,
} from "./vectors.ts";

/** The guest lets a vector send: it gets a route and a listener, and only then the host a vector that signals it. */
const vfioMsixVectorDoUse = qemuFunction(
  "vfio_msix_vector_do_use",
  (vmm: Vmm, device: VfioDevice, number: number, message: MsiMessage): void => {
    const msix = device.fn.msix!;
    const resizing = device.vectorCount < number + 1;
    let vector = device.vectors.get(number);
    if (vector === undefined) {
      vector = useVector(vmm, device, number);
      msixVectorUse(msix, number);
    }
    if (vector.virq >= 0) {
      vfioUpdateKvmMsiVirq(vmm, vector, message);
    } else {
      vfioAddKvmMsiVirq(vmm, device, vector, message);
      if (!device.deferRouting) {
        kvmIrqchipCommitRouteChanges(vmm, device.routeChange);
        vfioConnectKvmMsiVirq(vmm, device, vector);
      }
    }
    if (resizing) device.vectorCount = number + 1;
    if (!device.deferRouting) {
      if (device.noresize && resizing) {
        vfioDisableIrqindex(vmm, device, "msix");
        vfioEnableVectors(vmm, device, "msix");
      } else {
        signalVector(vmm, device, vector);
      }
    }
    if (!anyOtherPending(device, number)) setPbaEmulation(vmm, device, false);
  },
);

function anyOtherPending({ fn }: VfioDevice, number: number): boolean {
  return [...fn.msix!.pending].some((pending) => pending !== number);
}

const vfioMsixVectorUse = qemuFunction(
  "vfio_msix_vector_use",
  (vmm: Vmm, device: VfioDevice, number: number, message: MsiMessage): void =>
    vfioMsixVectorDoUse(vmm, device, number, message),
);

/** The guest masks a vector: route and listener stay, QEMU hears it instead and keeps it pending. */
const vfioMsixVectorRelease = qemuFunction(
  "vfio_msix_vector_release",
  (vmm: Vmm, device: VfioDevice, number: number): void => {
    const vector = device.vectors.get(number);
    if (vector === undefined || vector.virq < 0) return;
    vfioSetIrqSignaling(vmm, device, "msix", number, vector.interrupt.eventfd);
  },
);

/** The guest has enabled MSI-X. Vectors that can send already are routed in one batch and asked for in one request. */
export const vfioMsixEnable = qemuFunction("vfio_msix_enable", (vmm: Vmm, device: VfioDevice): void => {
  device.interrupt = "msix";
  vfioPrepareKvmMsiVirqBatch(vmm, device);
  msixSetVectorNotifiers(vmm, device.fn.msix!, {
    use: (vmm, number, message) => vfioMsixVectorUse(vmm, device, number, message),
    release: (vmm, number) => vfioMsixVectorRelease(vmm, device, number),
  });
  vfioCommitKvmMsiVirqBatch(vmm, device);
  if (device.vectorCount > 0) vfioEnableVectors(vmm, device, "msix");
  else vfioEnableMsixNoVec(vmm, device);
});

export const vfioMsixDisable = qemuFunction("vfio_msix_disable", (vmm: Vmm, device: VfioDevice): void => {
  const msix = device.fn.msix!;
  msixUnsetVectorNotifiers(vmm, msix);
  for (const number of device.vectors.keys()) {
    vfioMsixVectorRelease(vmm, device, number);
    msixVectorUnuse(msix, number);
  }
  vfioDisableIrqindex(vmm, device, "msix");
  vfioMsiDisableCommon(vmm, device);
  setPbaEmulation(vmm, device, false);
});
