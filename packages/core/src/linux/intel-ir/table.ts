import { irteBytes } from "../../spec/vtd/irte.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { IntelIommu } from "./unit.ts";

/** INTR_REMAP_TABLE_ENTRIES, and IRTA.S that says so. */
export const tableEntries = 65_536;
export const tableSize = 15;
export const tableBytes = tableEntries * irteBytes;

/** `struct ir_table`: where a unit's table lies, and which of its entries are taken. */
export class RemappingTable {
  /** Physical address, aligned to the size of the table. */
  readonly base: number;
  readonly #taken = new Uint8Array(tableEntries);
  #allocated = 0;

  constructor(base: number) {
    this.base = base;
  }

  /** How many entries are taken: none when every interrupt has been freed. */
  get allocated(): number {
    return this.#allocated;
  }

  addressOf(index: number): number {
    return this.base + index * irteBytes;
  }

  isTaken(index: number): boolean {
    return this.#taken[index] === 1;
  }

  /**
   * `bitmap_find_free_region`: the first free block of 2^order entries, aligned to its size.
   * @returns its index; -1 when there is none.
   */
  take(order: number): number {
    const count = 2 ** order;
    for (let index = 0; index + count <= tableEntries; index += count) {
      index = alignUp(this.#taken.indexOf(0, index), count);
      if (index < 0 || index + count > tableEntries) break;
      if (this.#isFree(index, count)) {
        this.#mark(index, count, 1);
        return index;
      }
    }
    return -1;
  }

  /** Takes one entry that the kernel before has left in use. */
  inherit(index: number): void {
    if (!this.isTaken(index)) this.#mark(index, 1, 1);
  }

  /** `bitmap_release_region` */
  release(index: number, order: number): void {
    this.#mark(index, 2 ** order, 0);
  }

  #isFree(index: number, count: number): boolean {
    const used = this.#taken.indexOf(1, index);
    return used < 0 || used >= index + count;
  }

  #mark(index: number, count: number, value: 0 | 1): void {
    this.#taken.fill(value, index, index + count);
    this.#allocated += value === 1 ? count : -count;
  }
}

function alignUp(index: number, count: number): number {
  return index < 0 ? index : Math.ceil(index / count) * count;
}

/** `struct irq_2_iommu`: which entries an interrupt has. */
export interface Irq2Iommu {
  readonly iommu: IntelIommu;
  /** First entry of the block. */
  readonly index: number;
  /** The interrupt's place in the block. */
  readonly subHandle: number;
  /** The block has 2^mask entries. */
  readonly mask: number;
  /** The entry posts to the descriptor of a CPU of the host, while nothing else claims it. */
  postedMsi: boolean;
}

/**
 * Finds entries for so many interrupts of one function: a block of a power of two, which the hardware can invalidate
 * as one.
 * @returns null when there are none, or no invalidation could cover them.
 */
export const allocIrte = kernelFunction(
  "alloc_irte",
  (k: Kernel, iommu: IntelIommu, count: number): Irq2Iommu | null => {
    const mask = count > 1 ? Math.ceil(Math.log2(count)) : 0;
    const { mhmv } = iommu.ecap;
    if (mask > Number(mhmv)) {
      k.log.err(
        `DMAR-IR: Requested mask ${mask.toString(16)} exceeds the max invalidation handle mask value ${mhmv.toString(16)}`,
      );
      return null;
    }
    const index = iommu.table!.take(mask);
    if (index < 0) {
      k.log.warn(`DMAR-IR: IR${iommu.sequence}: can't allocate an IRTE`);
      return null;
    }
    return { iommu, index, subHandle: 0, mask, postedMsi: false };
  },
);
