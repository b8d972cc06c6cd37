import { irteBytes } from "../../spec/vtd/irte.ts";
import type { Kernel } from "../kernel.ts";
import { load, store } from "./cached-memory.ts";
import { qiFlushIec } from "./queue.ts";
import { type IntelIommu, flushCache } from "./unit.ts";

// The steps by which a live entry changes, each atomic as the unit and other CPUs see it. Nothing else writes to an
// entry that a device may use.

/** The entry as the CPU sees it. */
export function readEntry(k: Kernel, iommu: IntelIommu, index: number): bigint {
  return load(k, iommu.table!.addressOf(index), 128);
}

/** Stores bits 63:0. */
export function storeLow(k: Kernel, iommu: IntelIommu, index: number, entry: bigint): void {
  store(k, iommu.table!.addressOf(index), BigInt.asUintN(64, entry), 64);
}

/** Stores bits 127:64. */
export function storeHigh(k: Kernel, iommu: IntelIommu, index: number, entry: bigint): void {
  store(k, iommu.table!.addressOf(index) + irteBytes / 2, entry >> 64n, 64);
}

/** cmpxchg16b: all 128 bits at once. @returns whether the entry was still the one expected. */
export function exchange(
  k: Kernel,
  iommu: IntelIommu,
  index: number,
  expected: bigint,
  entry: bigint,
): boolean {
  if (readEntry(k, iommu, index) !== expected) return false;
  store(k, iommu.table!.addressOf(index), entry, 128);
  return true;
}

/** Brings the entry to memory, for a unit that does not snoop the CPU's cache. */
export function writeBack(k: Kernel, iommu: IntelIommu, index: number, count = 1): void {
  flushCache(k, iommu, iommu.table!.addressOf(index), count * irteBytes);
}

/** Makes the unit forget what it has cached of 2^mask entries. @returns 0, or a negative errno. */
export function invalidate(k: Kernel, iommu: IntelIommu, index: number, mask = 0): number {
  return qiFlushIec(k, iommu, index, mask);
}
