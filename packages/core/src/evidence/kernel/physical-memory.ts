import type { AddressSpace } from "./memory.ts";

/** Physical addresses from `start` up to and without `end`. */
export interface MemoryRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** The memory of a machine by physical address, as a dump has it. */
export interface PhysicalMemory extends AddressSpace {
  /**
   * What has bytes in the dump, in ascending order, apart from each other: no more than its file has room for, whatever
   * it says. What else can be read is zeros; a page in a range may still be unreadable.
   */
  readonly ranges: readonly MemoryRange[];
  /** The text of VMCOREINFO, where the dump says it by itself. */
  readonly vmcoreinfo?: Uint8Array;
  /** Why pages are missing that the machine had, where the dump says it. */
  readonly incomplete?: string;
}
