import { eventfdSignal } from "../eventfd.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { PciDevice } from "../pci/device.ts";
import { pciRemoveMsiDomain } from "../pci/msi.ts";
import type { VfioDevice } from "./device.ts";

function ask(k: Kernel, { pci, requestTrigger }: VfioDevice, times: number): void {
  if (requestTrigger !== null) {
    if (times % 10 === 0) k.log.info(`vfio-pci ${pci.name}: Relaying device request to user (#${times})`);
    eventfdSignal(k, requestTrigger);
  } else if (times === 0) {
    k.log.warn(`vfio-pci ${pci.name}: No device request channel registered, blocked until released by user`);
  }
}

const coreRequest = kernelFunction("vfio_pci_core_request", ask);
const oldRequest = kernelFunction("vfio_pci_request", ask);

/** The device is gone, from the kernel's list too. */
export function forgetDevice(k: Kernel, device: PciDevice): void {
  pciRemoveMsiDomain(k, device);
  const at = k.devices.indexOf(device);
  if (at >= 0) k.devices.splice(at, 1);
}

/**
 * The driver is taken off a device, because somebody wants to pull it or has pulled it. The device goes when userspace
 * has closed it, which is asked to do so; the kernel asks again every few seconds.
 * @param times how often it has asked before.
 * @returns whether the device is gone.
 */
export const vfioPciRemove = kernelFunction(
  "vfio_pci_remove",
  (k: Kernel, pci: PciDevice, times: number): boolean => {
    const device = k.vfioDevices.get(pci);
    if (device === undefined) {
      forgetDevice(k, pci);
      return true;
    }
    device.leaving = true;
    (k.runs({ from: "5.15" }) ? coreRequest : oldRequest)(k, device, times);
    return !k.vfioDevices.has(pci);
  },
);
