import type { MsiMessage } from "../irq/chip.ts";
import type { IrqDomain } from "../irq/domain.ts";

/** `struct msi_desc`: one vector of a device, or of multi-MSI its whole block. */
export interface MsiDescriptor {
  /** Index in the MSI-X table; 0 for MSI. */
  readonly index: number;
  /** Linux irq of the first vector; 0 while none is allocated. */
  irq: number;
  /** Vectors that the descriptor stands for: above 1 for multi-MSI only. */
  readonly used: number;
  /** As last written to the device; written again after a reset. */
  readonly message: MsiMessage;
  /** The vector control of an MSI-X entry as last written; of MSI, its mask bits. */
  mask: number;
}

/** A device's MSI or MSI-X, enabled. */
export interface MsiState {
  readonly kind: "msi" | "msix";
  /** Offset of the capability. */
  readonly capability: number;
  /** Of MSI-X: where the table lies. */
  readonly table: { readonly bar: number; readonly offset: number };
  /** Of MSI: offsets in configuration space; `upper` and `mask` are 0 where the capability has none. */
  readonly registers: { readonly upper: number; readonly data: number; readonly mask: number };
  readonly descriptors: MsiDescriptor[];
  /** The domain at the top: per device since 6.2, of the whole remapping unit before. */
  readonly domain: IrqDomain;
}
