import type { MsiMessage } from "../../linux/irq/chip.ts";
import * as control from "../../spec/accessors/msix-control.ts";
import * as entry from "../../spec/accessors/msix-table-entry.ts";
import { encode, toWords } from "../../spec/codec.ts";
import { capabilityIds } from "../../spec/pci/config-header.ts";
import { msixCapability, msixEntryBytes } from "../../spec/pci/msix.ts";
import type { MsixPlace } from "../../hardware/pci/msix.ts";
import { addressSpaceStlLe } from "../memory/address-space.ts";
import { MemoryRegion, addSubregion } from "../memory/region.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import type { EmulatedFunction } from "./function.ts";

/** Told when the guest lets a vector send, with its message, and when it does no longer. */
export interface VectorNotifiers {
  use(vmm: Vmm, vector: number, message: MsiMessage): void;
  release(vmm: Vmm, vector: number): void;
}

/** MSI-X as QEMU emulates it: a table and a Pending Bit Array of its own, laid over a BAR. */
export class Msix {
  readonly fn: EmulatedFunction;
  readonly vectors: number;
  /** Offset of the capability. */
  readonly capability: number;
  readonly table: Int32Array;
  readonly pending = new Set<number>();
  /** How many users each vector has in the device's model. */
  readonly used: Int32Array;
  readonly tableRegion: MemoryRegion;
  readonly pbaRegion: MemoryRegion;
  notifiers: VectorNotifiers | null = null;
  /** As it was when the capability was last written. */
  functionMasked = true;

  constructor(fn: EmulatedFunction, options: MsixOptions) {
    const { vectors, table, pba, at } = options;
    this.fn = fn;
    this.vectors = vectors;
    const words = toWords(
      encode(msixCapability, {
        id: capabilityIds.msix,
        size: vectors - 1,
        tablebir: table.bar,
        tableoffset: table.offset,
        pbabir: pba.bar,
        pbaoffset: pba.offset,
      }),
      96,
    );
    this.capability = fn.addCapability(words, [control.EN_MASK | control.FM_MASK], at);
    this.table = new Int32Array(vectors * entry.WORDS);
    this.used = new Int32Array(vectors);
    // pci.msix.reset
    for (let i = 0; i < vectors; i++) this.table[i * entry.WORDS + entry.MASK_WORD] = entry.MASK_MASK;
    const valid = { min: 4, max: 4 } as const;
    this.tableRegion = new MemoryRegion({
      name: "msix-table",
      size: vectors * msixEntryBytes,
      ops: {
        valid,
        read: (vmm, offset) => msixTableMmioRead(vmm, this, offset),
        write: (vmm, offset, _size, value) => msixTableMmioWrite(vmm, this, offset, value),
      },
    });
    this.pbaRegion = new MemoryRegion({
      name: "msix-pba",
      size: 8 * Math.ceil(vectors / 64),
      ops: {
        valid,
        read: (vmm, offset) => msixPbaMmioRead(vmm, this, offset),
        // pci.msix.pending-read-only
        write: () => {},
      },
    });
    addSubregion(options.tableContainer, table.offset, this.tableRegion);
    addSubregion(options.pbaContainer, pba.offset, this.pbaRegion);
    fn.msix = this;
  }

  get control(): number {
    return this.fn.config.words[this.capability >> 2]!;
  }

  get enabled(): boolean {
    return control.en(this.control) === 1;
  }
}

interface MsixOptions {
  readonly vectors: number;
  readonly table: MsixPlace;
  readonly pba: MsixPlace;
  /** The regions of the BARs that hold them. */
  readonly tableContainer: MemoryRegion;
  readonly pbaContainer: MemoryRegion;
  /** Offset of the capability; behind the others unless told. */
  readonly at?: number;
}

/** `MSIMessage` of a vector, as the guest has programmed it. */
export function msixGetMessage({ table }: Msix, vector: number): MsiMessage {
  const at = vector * entry.WORDS;
  return {
    addressLow: entry.addressLow(table, at),
    addressHigh: entry.addressHigh(table, at),
    data: entry.data(table, at),
  };
}

function vectorMasked({ table }: Msix, vector: number, functionMasked: boolean): boolean {
  return functionMasked || entry.mask(table, vector * entry.WORDS) === 1;
}

export function msixIsMasked(msix: Msix, vector: number): boolean {
  return vectorMasked(msix, vector, msix.functionMasked);
}

const pciMsiTrigger = qemuFunction(
  "pci_msi_trigger",
  (vmm: Vmm, fn: EmulatedFunction, { addressLow, addressHigh, data }: MsiMessage): void => {
    // pci.msi.bus-master-lost
    if (!fn.canMaster) return;
    addressSpaceStlLe(vmm, vmm.memory, (addressHigh >>> 0) * 2 ** 32 + (addressLow >>> 0), data);
  },
  inlined,
);

/** Writes a message where it is addressed to. */
export const msiSendMessage = qemuFunction(
  "msi_send_message",
  (vmm: Vmm, fn: EmulatedFunction, message: MsiMessage): void => pciMsiTrigger(vmm, fn, message),
  inlined,
);

/** Raises a vector: its message is sent, or it is pending. */
export const msixNotify = qemuFunction(
  "msix_notify",
  (vmm: Vmm, msix: Msix, vector: number): void => {
    if (vector >= msix.vectors || msix.used[vector] === 0) return;
    // pci.msi.masked
    if (msixIsMasked(msix, vector)) {
      msix.pending.add(vector);
      return;
    }
    msiSendMessage(vmm, msix.fn, msixGetMessage(msix, vector));
  },
  inlined,
);

const msixFireVectorNotifier = qemuFunction(
  "msix_fire_vector_notifier",
  (vmm: Vmm, msix: Msix, vector: number, isMasked: boolean): void => {
    if (isMasked) msix.notifiers?.release(vmm, vector);
    else msix.notifiers?.use(vmm, vector, msixGetMessage(msix, vector));
  },
  inlined,
);

const msixHandleMaskUpdate = qemuFunction(
  "msix_handle_mask_update",
  (vmm: Vmm, msix: Msix, vector: number, wasMasked: boolean): void => {
    const isMasked = msixIsMasked(msix, vector);
    if (isMasked === wasMasked) return;
    msixFireVectorNotifier(vmm, msix, vector, isMasked);
    // pci.msi.unmasked
    if (!isMasked && msix.pending.delete(vector)) msixNotify(vmm, msix, vector);
  },
);

const msixTableMmioRead = qemuFunction(
  "msix_table_mmio_read",
  (_vmm: Vmm, msix: Msix, offset: number): number => msix.table[offset >> 2]! >>> 0,
);

const msixTableMmioWrite = qemuFunction(
  "msix_table_mmio_write",
  (vmm: Vmm, msix: Msix, offset: number, value: bigint): void => {
    const vector = Math.floor(offset / msixEntryBytes);
    const wasMasked = msixIsMasked(msix, vector);
    msix.table[offset >> 2] = Number(BigInt.asIntN(32, value));
    msixHandleMaskUpdate(vmm, msix, vector, wasMasked);
  },
);

const msixPbaMmioRead = qemuFunction(
  "msix_pba_mmio_read",
  (_vmm: Vmm, msix: Msix, offset: number): number => {
    let word = 0;
    for (const vector of msix.pending) if (vector >> 5 === offset >> 2) word |= 1 << (vector & 31);
    return word >>> 0;
  },
);

/** After a write to configuration space: the capability may have changed. */
export const msixWriteConfig = qemuFunction("msix_write_config", (vmm: Vmm, msix: Msix): void => {
  const wasMasked = msix.functionMasked;
  msix.functionMasked = !msix.enabled || control.fm(msix.control) === 1;
  if (!msix.enabled || msix.functionMasked === wasMasked) return;
  for (let vector = 0; vector < msix.vectors; vector++) {
    msixHandleMaskUpdate(vmm, msix, vector, vectorMasked(msix, vector, wasMasked));
  }
});

/** Whether vectors can send, as the capability alone has it. */
const open = (msix: Msix): boolean => msix.enabled && control.fm(msix.control) === 0;

/** From now on somebody is told of vectors that can send; those that can already are told of at once. */
export const msixSetVectorNotifiers = qemuFunction(
  "msix_set_vector_notifiers",
  (vmm: Vmm, msix: Msix, notifiers: VectorNotifiers): void => {
    msix.notifiers = notifiers;
    if (!open(msix)) return;
    for (let vector = 0; vector < msix.vectors; vector++) {
      if (!msixIsMasked(msix, vector)) notifiers.use(vmm, vector, msixGetMessage(msix, vector));
    }
  },
);

export const msixUnsetVectorNotifiers = qemuFunction(
  "msix_unset_vector_notifiers",
  (vmm: Vmm, msix: Msix): void => {
    for (let vector = 0; vector < msix.vectors && open(msix); vector++) {
      if (!msixIsMasked(msix, vector)) msix.notifiers?.release(vmm, vector);
    }
    msix.notifiers = null;
  },
);

/** A vector that the device's model raises has one user more. */
export function msixVectorUse(msix: Msix, vector: number): void {
  msix.used[vector] = msix.used[vector]! + 1;
}

export function msixVectorUnuse(msix: Msix, vector: number): void {
  if (msix.used[vector] === 0) return;
  msix.used[vector] = msix.used[vector]! - 1;
  if (msix.used[vector] === 0) msix.pending.delete(vector);
}
