import type { GuestRam } from "../guest-ram.ts";
import type { Vmm } from "../vmm.ts";

/** Bytes of one access to a device's registers. */
export type AccessSize = 1 | 2 | 4 | 8;

/** Sizes of access, as `MemoryRegionOps` has them; 1 to 4 unless told. */
export interface AccessSizes {
  readonly min?: AccessSize;
  readonly max?: AccessSize;
}

/** `MemoryRegionOps`: what a device makes of accesses to its registers. */
export interface RegionOps {
  read(vmm: Vmm, offset: number, size: AccessSize): number | bigint;
  write(vmm: Vmm, offset: number, size: AccessSize, value: bigint): void;
  /** What the guest may do; any size where it is not told. */
  readonly valid?: AccessSizes & { readonly unaligned?: boolean };
  /** What the device's functions are called with: other accesses are split or merged. */
  readonly implemented?: AccessSizes & { readonly unaligned?: boolean };
}

/** Memory that the guest reaches without leaving guest mode, because it is mapped into it. */
export type DirectMemory =
  | { readonly kind: "ram"; readonly ram: GuestRam }
  /** Registers of a host device, mapped from VFIO. */
  | {
      readonly kind: "device";
      read(offset: number, size: 1 | 2 | 4): number;
      write(offset: number, size: 1 | 2 | 4, value: number): void;
    };

export interface MemoryRegionOptions {
  readonly name: string;
  readonly size: number;
  /** Without operations and memory the region only holds others. */
  readonly ops?: RegionOps;
  readonly memory?: DirectMemory;
}

/** `MemoryRegion`: a piece of the guest's physical address space, which may hold others on top of itself. */
export class MemoryRegion {
  readonly name: string;
  readonly size: number;
  readonly ops: RegionOps | null;
  readonly memory: DirectMemory | null;
  /** Where it lies in its container. */
  offset = 0;
  priority = 0;
  enabled = true;
  container: MemoryRegion | null = null;
  /** Those that win first: by priority, and of equals the one added last. */
  readonly subregions: MemoryRegion[] = [];
  /** A device's function runs: it must not be entered again by what it does. */
  engaged = false;

  constructor(options: MemoryRegionOptions) {
    this.name = options.name;
    this.size = options.size;
    this.ops = options.ops ?? null;
    this.memory = options.memory ?? null;
  }
}

/** `memory_region_add_subregion_overlap` */
export function addSubregion(
  container: MemoryRegion,
  offset: number,
  region: MemoryRegion,
  priority = 0,
): void {
  region.offset = offset;
  region.priority = priority;
  region.container = container;
  const at = container.subregions.findIndex((other) => priority >= other.priority);
  container.subregions.splice(at < 0 ? container.subregions.length : at, 0, region);
}

/** `memory_region_del_subregion` */
export function removeSubregion(region: MemoryRegion): void {
  const siblings = region.container?.subregions ?? [];
  siblings.splice(siblings.indexOf(region), 1);
  region.container = null;
}
