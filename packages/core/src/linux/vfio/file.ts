import * as command from "../../spec/accessors/pci-command-status.ts";
import { configOffset } from "../../spec/pci/config-header.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { readConfig, writeConfig } from "../pci/config.ts";
import type { PciDevice } from "../pci/device.ts";
import type { File, Ioctl } from "../syscall.ts";
import { VfioDevice } from "./device.ts";
import { vfioIommuType1AttachGroup } from "./isolation.ts";
import { forgetDevice } from "./removal.ts";
import type { VfioRequest } from "./requests.ts";
import { vfioPciIoctlReset } from "./reset.ts";
import { vfioPciIoctlSetIrqs, vfioPciSetIrqsIoctl } from "./set-irqs.ts";

/** A VFIO device's file. */
export interface VfioFile extends File {
  readonly device: VfioDevice;
  ioctl(k: Kernel, request: Ioctl): number;
  release(k: Kernel): void;
}

function dispatch(k: Kernel, device: VfioDevice, request: VfioRequest): number {
  switch (request.request) {
    case "VFIO_DEVICE_SET_IRQS":
      return vfioPciIoctlSetIrqs(k, device, request);
    case "VFIO_DEVICE_RESET":
      return vfioPciIoctlReset(k, device);
    default:
      return -errno.ENOTTY;
  }
}

const vfioPciCoreIoctl = kernelFunction("vfio_pci_core_ioctl", dispatch);
const vfioPciIoctl = kernelFunction("vfio_pci_ioctl", dispatch);

const vfioDeviceFopsUnlIoctl = kernelFunction(
  "vfio_device_fops_unl_ioctl",
  (k: Kernel, device: VfioDevice, request: VfioRequest): number =>
    k.runs({ from: "5.15" }) ? vfioPciCoreIoctl(k, device, request) : vfioPciIoctl(k, device, request),
  // Since 6.2 it has power management to see to afterwards.
  { tailCalls: { vfio_pci_ioctl: true } },
);

/** The device is kept from memory first, then its interrupts are taken apart. */
function disable(k: Kernel, device: VfioDevice): void {
  const { pci } = device;
  const before = readConfig(pci, configOffset.commandStatus, 2);
  writeConfig(pci, configOffset.commandStatus, 2, before & ~command.BME_MASK);
  const { irqType } = device;
  if (irqType !== null) {
    vfioPciSetIrqsIoctl(k, device, {
      request: "VFIO_DEVICE_SET_IRQS",
      index: irqType,
      start: 0,
      eventfds: [],
    });
  }
}

const vfioPciCoreDisable = kernelFunction("vfio_pci_core_disable", disable);
const vfioPciDisable = kernelFunction("vfio_pci_disable", disable);

const vfioPciCoreCloseDevice = kernelFunction(
  "vfio_pci_core_close_device",
  (k: Kernel, device: VfioDevice): void => {
    vfioPciCoreDisable(k, device);
    device.requestTrigger = null;
  },
);

const vfioPciRelease = kernelFunction("vfio_pci_release", (k: Kernel, device: VfioDevice): void => {
  vfioPciDisable(k, device);
  device.requestTrigger = null;
});

const lastClose = kernelFunction("vfio_df_device_last_close", (k: Kernel, device: VfioDevice): void =>
  vfioPciCoreCloseDevice(k, device),
);

const dfClose = kernelFunction("vfio_df_close", (k: Kernel, device: VfioDevice): void =>
  lastClose(k, device),
);

const groupClose = kernelFunction("vfio_df_group_close", (k: Kernel, device: VfioDevice): void =>
  dfClose(k, device),
);

const vfioDeviceFopsRelease = kernelFunction(
  "vfio_device_fops_release",
  (k: Kernel, device: VfioDevice): void => {
    if (k.runs({ from: "6.5" })) groupClose(k, device);
    else if (k.runs({ from: "5.15" })) vfioPciCoreCloseDevice(k, device);
    else vfioPciRelease(k, device);
    k.vfioDevices.delete(device.pci);
    if (device.leaving) forgetDevice(k, device.pci);
  },
);

/**
 * Opens a device for userspace: VFIO_SET_IOMMU on its group, then VFIO_GROUP_GET_DEVICE_FD.
 * @returns its file; -EPERM where its interrupts are not isolated, -EBUSY while another driver has it or it is open,
 * -ENODEV when it is gone.
 */
export function vfioOpenDevice(k: Kernel, pci: PciDevice): VfioFile | number {
  if (pci.removed) return -errno.ENODEV;
  if (k.vfioDevices.has(pci) || pci.msi !== null) return -errno.EBUSY;
  const attached = vfioIommuType1AttachGroup(k, pci);
  if (attached !== 0) return attached;
  const device = new VfioDevice(pci);
  k.vfioDevices.set(pci, device);
  return {
    name: `anon_inode:[vfio-device](${pci.name})`,
    device,
    ioctl: (kernel, request) => vfioDeviceFopsUnlIoctl(kernel, device, request as VfioRequest),
    release: (kernel) => vfioDeviceFopsRelease(kernel, device),
  };
}
