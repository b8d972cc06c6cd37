import { qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { type VfioDevice, vfioDisableIrqindex } from "./device.ts";
import {
  messageOf,
  useVector,
  vfioAddKvmMsiVirq,
  vfioCommitKvmMsiVirqBatch,
  vfioEnableVectors,
  vfioMsiDisableCommon,
  vfioPrepareKvmMsiVirqBatch,
  vfioUpdateKvmMsiVirq,
} from "./vectors.ts";

/** The guest has enabled MSI: as many vectors as the host gives. */
export const vfioMsiEnable = qemuFunction("vfio_msi_enable", (vmm: Vmm, device: VfioDevice): void => {
  for (let wanted = device.fn.msi!.allocated; wanted > 0;) {
    device.vectorCount = wanted;
    vfioPrepareKvmMsiVirqBatch(vmm, device);
    for (let number = 0; number < wanted; number++) {
      const vector = useVector(vmm, device, number);
      vfioAddKvmMsiVirq(vmm, device, vector, device.fn.msi!.message(number));
    }
    vfioCommitKvmMsiVirqBatch(vmm, device);
    device.interrupt = "msi";
    const result = vfioEnableVectors(vmm, device, "msi");
    if (result === 0) return;
    vfioMsiDisableCommon(vmm, device);
    wanted = result < wanted ? result : 0;
  }
});

export const vfioMsiDisable = qemuFunction("vfio_msi_disable", (vmm: Vmm, device: VfioDevice): void => {
  vfioDisableIrqindex(vmm, device, "msi");
  vfioMsiDisableCommon(vmm, device);
});

/** The guest has written to the capability while MSI is enabled. */
export const vfioUpdateMsi = qemuFunction("vfio_update_msi", (vmm: Vmm, device: VfioDevice): void => {
  for (const vector of device.vectors.values()) {
    if (vector.virq >= 0) vfioUpdateKvmMsiVirq(vmm, vector, messageOf(device, vector.number));
  }
});
