import { firstCapability } from "../../spec/pci/config-header.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { readConfig, writeConfig } from "../pci/config.ts";
import type { PciDevice } from "../pci/device.ts";
import { pciRestoreMsiState } from "../pci/msi.ts";
import type { VfioDevice } from "./device.ts";

/** Resets a function, and gives it back what it knew of its addresses and interrupts. */
const pciTryResetFunction = kernelFunction(
  "pci_try_reset_function",
  (k: Kernel, device: PciDevice): number => {
    const { access } = device;
    if (access.reset === undefined || device.removed) return -errno.ENOTTY;
    const header = Array.from({ length: firstCapability / 4 }, (_, i) => readConfig(device, 4 * i, 4));
    access.reset();
    // The Command register last: nothing answers or asks before the rest is in place.
    for (let i = header.length - 1; i >= 1; i--) writeConfig(device, 4 * i, 4, header[i]!);
    pciRestoreMsiState(k, device);
    return 0;
  },
);

/** VFIO_DEVICE_RESET. @returns 0; -EINVAL for a device that cannot be reset. */
export const vfioPciIoctlReset = kernelFunction(
  "vfio_pci_ioctl_reset",
  (k: Kernel, { pci }: VfioDevice): number =>
    pci.access.reset === undefined ? -errno.EINVAL : pciTryResetFunction(k, pci),
  // A case of vfio_pci_ioctl until 6.1.
  { inlined: { below: "6.1" } },
);
