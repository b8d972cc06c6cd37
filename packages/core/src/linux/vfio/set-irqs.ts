import { errno } from "../errno.ts";
import type { Eventfd } from "../eventfd.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { pciMsiVecCount, pciMsixVecCount } from "../pci/msi.ts";
import type { MsiState } from "../pci/msi-state.ts";
import type { VfioDevice } from "./device.ts";
import type { VfioRequest } from "./requests.ts";
import { vfioMsiDisable, vfioMsiEnable, vfioMsiSetBlock } from "./vectors.ts";

export type SetIrqs = Extract<VfioRequest, { request: "VFIO_DEVICE_SET_IRQS" }>;
type SetVectors = Extract<SetIrqs, { index: MsiState["kind"] }>;

const setMsiTrigger = "vfio_pci_set_msi_trigger";

/** Interrupts of this kind are enabled already: the function ends in the call, which takes its frame over. */
const addTriggers = kernelFunction(
  setMsiTrigger,
  (k: Kernel, device: VfioDevice, { index, start, eventfds }: SetVectors): number =>
    vfioMsiSetBlock(k, device, start, eventfds, index),
  { tailCalls: { vfio_msi_set_block: true } },
);

/** They are enabled first, and disabled again when the vectors cannot be set; or disabled. */
const startOrStop = kernelFunction(
  setMsiTrigger,
  (k: Kernel, device: VfioDevice, { index, start, eventfds }: SetVectors): number => {
    if (eventfds.length === 0) {
      if (device.irqType !== index) return -errno.EINVAL;
      vfioMsiDisable(k, device, index);
      return 0;
    }
    if (device.irqType !== null) return -errno.EINVAL;
    const enabled = vfioMsiEnable(k, device, start + eventfds.length, index);
    if (enabled !== 0) return enabled;
    const result = vfioMsiSetBlock(k, device, start, eventfds, index);
    if (result !== 0) vfioMsiDisable(k, device, index);
    return result;
  },
);

/** One function of the kernel, whose last call on one of its ways is a jump. */
function vfioPciSetMsiTrigger(k: Kernel, device: VfioDevice, request: SetVectors): number {
  const more = device.irqType === request.index && request.eventfds.length > 0;
  return (more ? addTriggers : startOrStop)(k, device, request);
}

const vfioPciSetReqTrigger = kernelFunction(
  "vfio_pci_set_req_trigger",
  (_k: Kernel, device: VfioDevice, eventfd: Eventfd | null): number => {
    device.requestTrigger = eventfd;
    return 0;
  },
);

export const vfioPciSetIrqsIoctl = kernelFunction(
  "vfio_pci_set_irqs_ioctl",
  (k: Kernel, device: VfioDevice, request: SetIrqs): number =>
    request.index === "req"
      ? vfioPciSetReqTrigger(k, device, request.eventfd)
      : vfioPciSetMsiTrigger(k, device, request),
  { tailCalls: { [setMsiTrigger]: true, vfio_pci_set_req_trigger: true } },
);

/** Whether the device has the vectors that a request names: `vfio_set_irqs_validate_and_prepare`. */
function hasVectors(k: Kernel, { pci }: VfioDevice, { index, start, eventfds }: SetVectors): boolean {
  const count = (index === "msix" ? pciMsixVecCount : pciMsiVecCount)(k, pci);
  return start >= 0 && start < count && start + eventfds.length <= count;
}

/** VFIO_DEVICE_SET_IRQS. @returns 0; a negative errno, or how many vectors there are where they are fewer. */
export const vfioPciIoctlSetIrqs = kernelFunction(
  "vfio_pci_ioctl_set_irqs",
  (k: Kernel, device: VfioDevice, request: SetIrqs): number =>
    request.index === "req" || hasVectors(k, device, request)
      ? vfioPciSetIrqsIoctl(k, device, request)
      : -errno.EINVAL,
  { inlined: true },
);
