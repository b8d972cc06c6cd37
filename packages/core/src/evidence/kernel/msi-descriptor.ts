import type { Message } from "../host/device.ts";
import type { KernelStruct } from "./kernel-struct.ts";

/** What `struct msi_desc` says of one message, or of a run of them (multi-message MSI). */
export interface MsiDescriptor {
  /** The address of the `struct device` that sends it. */
  readonly device: bigint;
  readonly firstIrq: number;
  /** Messages in the run. */
  readonly count: number;
  readonly message: Message;
  /** Of the first message in the MSI-X table; 0 for MSI. */
  readonly index: number;
  /** Undefined where it is not a PCI function's. */
  readonly pci: PciMessages | undefined;
}

interface PciMessages {
  readonly msix: boolean;
  /** MSI: messages that the function was given and that it asks for. */
  readonly used: number;
  readonly available: number;
}

export function readMsiDescriptor(descriptor: KernelStruct): MsiDescriptor {
  // pci.msi_attrib since 5.17, msi_attrib before.
  const attributes = ["pci.msi_attrib", "msi_attrib"].find((name) => descriptor.has(name));
  const number = (name: string): number => descriptor.number(`${attributes}.${name}`);
  return {
    device: descriptor.pointer("dev"),
    firstIrq: descriptor.u32("irq"),
    count: descriptor.u32("nvec_used"),
    message: {
      address: (BigInt(descriptor.u32("msg.address_hi")) << 32n) | BigInt(descriptor.u32("msg.address_lo")),
      data: descriptor.u32("msg.data"),
    },
    // msi_index since 5.17, msi_attrib.entry_nr before.
    index: descriptor.number("msi_index", "pci.msi_attrib.entry_nr", "msi_attrib.entry_nr"),
    pci:
      attributes === undefined
        ? undefined
        : {
            msix: number("is_msix") !== 0,
            used: 1 << number("multiple"),
            available: 1 << number("multi_cap"),
          },
  };
}
