import { irteBytes } from "../../spec/amdvi/irte.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { PciDevice } from "../pci/device.ts";
import { iommuCompletionWait, iommuFlushDte } from "./commands.ts";
import { setDteIrqEntry } from "./device-table.ts";
import type { AmdIommu } from "./iommu.ts";
import { amdRemapping } from "./remapping.ts";

/** Interrupts of a device, by NumIntRemapMode. */
export const tableEntries = { short: 512, long: 2048 } as const;

/** Entries that an I/O APIC keeps for its pins. */
export const ioapicEntries = 32;

/**
 * How the driver marks an entry as taken before it is programmed: the entry itself says it, there is no bitmap. A vector
 * of FFh does in 128-bit entries, every bit but RemapEn in 32-bit ones (facts 3.4).
 */
export interface AllocationMark {
  set(k: Kernel, address: number): void;
  isSet(k: Kernel, address: number): boolean;
  clear(k: Kernel, address: number): void;
}

/** `struct irq_remap_table`: the interrupt table of a device and its DMA aliases. */
export class IrqTable {
  readonly address: number;
  readonly entries: number;
  readonly entryBytes: number;
  /** First index that is not an I/O APIC's. */
  minIndex = 0;
  /** Entries in use; those that an I/O APIC keeps for its pins count when a pin is. */
  allocated = 0;

  constructor(address: number, entries: number, entryBytes: number) {
    this.address = address;
    this.entries = entries;
    this.entryBytes = entryBytes;
  }

  addressOf(index: number): number {
    return this.address + index * this.entryBytes;
  }
}

/** The table of a device; undefined before its first interrupt. */
export const getIrqTable = kernelFunction(
  "get_irq_table",
  (_k: Kernel, iommu: AmdIommu, devid: number): IrqTable | undefined => iommu.segment.irqTables.get(devid),
  { inlined: true },
);

function newTable(k: Kernel, entries: number): IrqTable | undefined {
  const entryBytes = amdRemapping(k).ga ? irteBytes.ga : irteBytes.legacy;
  const address = k.pages.allocate(entries * entryBytes);
  return address < 0 ? undefined : new IrqTable(address, entries, entryBytes);
}

const setRemapTableEntry = kernelFunction(
  "set_remap_table_entry",
  (k: Kernel, iommu: AmdIommu, devid: number, table: IrqTable): void => {
    iommu.segment.irqTables.set(devid, table);
    setDteIrqEntry(k, iommu, devid, table);
    iommuFlushDte(k, iommu, devid);
  },
);

/** @param device null for an I/O APIC or HPET, which have no aliases. */
export const allocIrqTable = kernelFunction(
  "alloc_irq_table",
  (
    k: Kernel,
    iommu: AmdIommu,
    devid: number,
    device: PciDevice | null,
    entries: number,
  ): IrqTable | undefined => {
    const { irqTables } = iommu.segment;
    const known = irqTables.get(devid);
    if (known !== undefined) return known;
    const aliases = device?.aliases ?? [devid];
    // The IVRS names the id under which a bridge's devices are seen; the topology knows it as the last alias.
    const alias = aliases.at(-1)!;
    const shared = irqTables.get(alias);
    const table = shared ?? newTable(k, entries);
    if (table === undefined) return undefined;
    for (const id of shared === undefined ? aliases : [devid]) setRemapTableEntry(k, iommu, id, table);
    iommuCompletionWait(k, iommu);
    return table;
  },
);

/**
 * Takes consecutive entries.
 * @param align to the next power of two above `count`, as multi-MSI asks for.
 * @returns the first index, or a negative errno.
 */
export const allocIrqIndex = kernelFunction(
  "alloc_irq_index",
  (
    k: Kernel,
    iommu: AmdIommu,
    mark: AllocationMark,
    devid: number,
    count: number,
    align: boolean,
    device: PciDevice | null,
    entries: number,
  ): number => {
    const table = allocIrqTable(k, iommu, devid, device, entries);
    if (table === undefined) return -errno.ENODEV;
    const alignment = align ? 2 ** Math.ceil(Math.log2(count)) : 1;
    const aligned = (index: number): number => Math.ceil(index / alignment) * alignment;
    let first = aligned(table.minIndex);
    for (let index = first; index < table.entries; index++) {
      if (mark.isSet(k, table.addressOf(index))) {
        first = aligned(index + 1);
        index = first - 1;
      } else if (index - first + 1 === count) {
        for (let i = first; i <= index; i++) mark.set(k, table.addressOf(i));
        table.allocated += count;
        return first;
      }
    }
    return -errno.ENOSPC;
  },
);

/** An I/O APIC's entries are its pins': the first 32 are nobody else's. */
export function reserveForIoapic(k: Kernel, mark: AllocationMark, table: IrqTable): void {
  if (table.minIndex !== 0) return;
  table.minIndex = ioapicEntries;
  for (let i = 0; i < ioapicEntries; i++) mark.set(k, table.addressOf(i));
}
