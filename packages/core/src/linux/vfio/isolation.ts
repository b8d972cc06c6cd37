import { errno } from "../errno.ts";
import type { IrqDomain } from "../irq/domain.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { PciDevice } from "../pci/device.ts";
import { msiParentDomain } from "../pci/irq-domain.ts";

/** Some level below a device's messages keeps it from vectors that are not its own. */
const msiDeviceHasIsolatedMsi = kernelFunction(
  "msi_device_has_isolated_msi",
  (k: Kernel, device: PciDevice): boolean => {
    for (let at: IrqDomain | null = msiParentDomain(k, device); at !== null; at = at.parent) {
      if (at.isolatedMsi) return true;
    }
    return false;
  },
);

/** What a domain says of itself decides, and not what its entries check: `intremap=nosid` changes nothing here. */
const iommuGroupHasIsolatedMsi = kernelFunction(
  "iommu_group_has_isolated_msi",
  (k: Kernel, device: PciDevice): boolean => msiDeviceHasIsolatedMsi(k, device),
);

/** IOMMU_CAP_INTR_REMAP, which was asked until 6.3. */
const iommuCapable = kernelFunction("iommu_capable", (k: Kernel): boolean => k.remapping?.enabled === true);

/** A device comes under the IOMMU's protection. @returns 0; -EPERM when it could still send any interrupt. */
export const vfioIommuType1AttachGroup = kernelFunction(
  "vfio_iommu_type1_attach_group",
  (k: Kernel, device: PciDevice): number => {
    const isolated = k.runs({ from: "6.3" }) ? iommuGroupHasIsolatedMsi(k, device) : iommuCapable(k);
    if (isolated || k.parameters.allowUnsafeInterrupts) return 0;
    k.log.warn(
      'vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param "allow_unsafe_interrupts" to enable VFIO IOMMU support on this platform',
    );
    return -errno.EPERM;
  },
);
