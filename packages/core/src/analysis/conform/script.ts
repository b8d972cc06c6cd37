import type { Vendor } from "../../evidence/qemu-trace/index.ts";

/** A CPU's store to memory: 32-bit words from an address on, which is a multiple of 4. */
export interface MemoryWrite {
  readonly does: "memory";
  readonly address: number;
  /** As int32. */
  readonly words: readonly number[];
}

/** A CPU's write to a register of the remapping unit. */
export interface RegisterWrite {
  readonly does: "register";
  readonly offset: number;
  /** In bits. */
  readonly width: 32 | 64;
  readonly value: bigint;
}

/** A device's write of a dword to FEEx_xxxxh. */
export interface InterruptRequest {
  readonly does: "msi";
  /** Address bits 31:0, unsigned. */
  readonly address: number;
  /** Unsigned. */
  readonly data: number;
  /** Bus, device and function as 16 bits; null: not known. */
  readonly requester: number | null;
}

/** The MSI capability of the remapping unit's own PCI function is programmed with this message, and enabled. */
export interface OwnMessage {
  readonly does: "ownMessage";
  readonly address: bigint;
  /** Unsigned. */
  readonly data: number;
}

/** One thing that is done to a machine from outside its remapping unit. */
export type Deed = MemoryWrite | RegisterWrite | InterruptRequest | OwnMessage;

/** What is done before somebody looks, and what is then looked at. */
export interface Scene {
  readonly deeds: readonly Deed[];
  /** Registers of the unit, besides what is always looked at: messages and fault or event records. */
  readonly registers: readonly RegisterPlace[];
  /** Words of memory, by address. */
  readonly memory: readonly number[];
  /** The local APICs too. */
  readonly apics: boolean;
}

export interface RegisterPlace {
  readonly offset: number;
  /** In bits. */
  readonly width: 32 | 64;
}

/**
 * One case as a machine meets it, from a unit as it is after reset and memory that is zero. Addresses and values are
 * what the case's software would have written to a unit of the machine's capabilities.
 */
export interface Script {
  readonly vendor: Vendor;
  /** The id of its case. */
  readonly name: string;
  readonly scenes: readonly Scene[];
}
