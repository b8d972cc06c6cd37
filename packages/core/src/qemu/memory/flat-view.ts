import type { MemoryRegion } from "./region.ts";

/** Addresses from `from` up to, not including, `to`, that one region answers. */
export interface FlatRange {
  readonly from: number;
  readonly to: number;
  readonly region: MemoryRegion;
  /** Offset in the region of the first byte. */
  readonly offset: number;
}

/** `FlatView`: the tree of regions as the guest sees it from above, by rising address. */
export class FlatView {
  readonly ranges: readonly FlatRange[];

  constructor(root: MemoryRegion) {
    const ranges: FlatRange[] = [];
    render(ranges, root, 0, 0, root.size);
    this.ranges = ranges;
  }

  /** The range that holds an address, if any does. */
  find(address: number): FlatRange | undefined {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ranges[middle]!.to <= address) low = middle + 1;
      else high = middle;
    }
    const found = this.ranges[low];
    return found !== undefined && found.from <= address ? found : undefined;
  }
}

/** Adds what shows of a region between `clipFrom` and `clipTo`, under what already lies there. */
function render(
  ranges: FlatRange[],
  region: MemoryRegion,
  base: number,
  clipFrom: number,
  clipTo: number,
): void {
  if (!region.enabled) return;
  const from = Math.max(base, clipFrom);
  const to = Math.min(base + region.size, clipTo);
  if (from >= to) return;
  for (const sub of region.subregions) render(ranges, sub, base + sub.offset, from, to);
  if (region.ops === null && region.memory === null) return;
  let at = from;
  for (let i = 0; at < to; i++) {
    const next = ranges[i];
    if (next !== undefined && next.to <= at) continue;
    const gapEnd = next === undefined ? to : Math.min(next.from, to);
    if (at < gapEnd) ranges.splice(i++, 0, { from: at, to: gapEnd, region, offset: at - base });
    at = next === undefined ? to : Math.max(gapEnd, next.to);
  }
}
