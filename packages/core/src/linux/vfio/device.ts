import type { Eventfd } from "../eventfd.ts";
import type { IrqBypassProducer } from "../irqbypass.ts";
import type { PciDevice } from "../pci/device.ts";
import type { MsiState } from "../pci/msi-state.ts";

/** `struct vfio_pci_irq_ctx`: one vector that signals an eventfd. */
export interface VfioVector {
  /** As /proc/interrupts has it. */
  readonly name: string;
  readonly trigger: Eventfd;
  readonly producer: IrqBypassProducer;
}

/** `struct vfio_pci_core_device`: a PCI function that userspace drives. */
export class VfioDevice {
  readonly pci: PciDevice;
  /** What kind of interrupts userspace has enabled. */
  irqType: MsiState["kind"] | null = null;
  /** Vectors that signal something, by number. */
  readonly vectors = new Map<number, VfioVector>();
  /** Through which userspace is asked to give the device back. */
  requestTrigger: Eventfd | null = null;
  /** The device is to go as soon as userspace lets go of it. */
  leaving = false;

  constructor(pci: PciDevice) {
    this.pci = pci;
  }
}
