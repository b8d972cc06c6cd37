import type { Fact } from "./fact.ts";

/** An address of 64 bits and what is written to it. */
export interface Message {
  readonly address: bigint;
  /** 32 bits. */
  readonly data: number;
}

/** The MSI capability of a function. */
export interface MsiState {
  readonly enabled: boolean;
  /** Vectors in use and vectors that the function asks for. */
  readonly used: number;
  readonly available: number;
  readonly message: Message;
}

/** The MSI-X capability of a function; the table itself lies in device memory. */
export interface MsixState {
  readonly enabled: boolean;
  /** The function mask. */
  readonly masked: boolean;
  readonly available: number;
  readonly bar: number;
  /** Of the table in the BAR, in bytes. */
  readonly offset: number;
}

/** A PCI function. */
export interface PciDevice {
  readonly segment: number;
  /** Bus:device.function as 16 bits. */
  readonly requester: number;
  /** Configuration space as far as it was readable: 64, 256 or 4096 bytes. */
  readonly config?: Fact<Uint8Array>;
  readonly vendorId?: Fact<number>;
  readonly deviceId?: Fact<number>;
  /** 24 bits: class, subclass, programming interface. */
  readonly classCode?: Fact<number>;
  readonly driver?: Fact<string>;
  readonly group?: Fact<number>;
  /** The name of the unit that remaps it, as sysfs has it: `dmar0`, `ivhd0`. */
  readonly unit?: Fact<string>;
  /** Which of its message capabilities the kernel says it has switched on. */
  readonly signals?: Fact<"none" | "msi" | "msix">;
  readonly msi?: Fact<MsiState>;
  readonly msix?: Fact<MsixState>;
  /** The Linux interrupts of its MSIs. */
  readonly messageIrqs?: Fact<readonly { readonly irq: number; readonly kind: "msi" | "msix" }[]>;
  /** The Linux interrupt of its INTx pin; 0 for none. */
  readonly lineIrq?: Fact<number>;
  /** The requester of the physical function that it is a virtual one of. */
  readonly physicalFunction?: Fact<number>;
}
