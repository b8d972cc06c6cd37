import type { AddressSpace } from "./memory.ts";

/** Physical addresses from `start` up to and without `end`. */
export interface MemoryRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** The memory of a machine by physical address, as a dump has it. */
export interface PhysicalMemory extends AddressSpace {
  /**
   * What the dump has, in ascending order, apart from each other. A page in a range may still be unreadable: left out of
   * the dump, or behind its end.
   */
  readonly ranges: readonly MemoryRange[];
  /** The text of VMCOREINFO, where the dump says it by itself. */
  readonly vmcoreinfo?: Uint8Array;
  /** Why pages are missing that the machine had, where the dump says it. */
  readonly incomplete?: string;
}
