import type { Fact } from "./fact.ts";

/** Entries of a remapping table as far as they were read. */
export interface TableEntries {
  /** Physical address; null where the source does not say it. */
  readonly base: bigint | null;
  /** How many the table has; null where the source does not say it. */
  readonly length: number | null;
  /** 32 or 128 bits each. */
  readonly width: 32 | 128;
  /** By index: every entry that is not zero, or all that the source lists. */
  readonly entries: ReadonlyMap<number, bigint>;
  /** False where the source leaves entries out that are present, or may be. */
  readonly complete: boolean;
  /** Entries that the kernel has given away, used or not, where it says. */
  readonly allocated?: ReadonlySet<number>;
}

/** A queue through which software gives a unit commands, as it stands in memory. */
export interface QueueState {
  readonly base: bigint | null;
  /** Indices of descriptors. */
  readonly head: number;
  readonly tail: number;
  /** By index. `status` is Linux's (0 free, 1 in use, 2 done, 3 aborted), null where the source does not say it. */
  readonly descriptors: readonly { readonly value: bigint; readonly status: number | null }[];
}

interface UnitFacts {
  /** `dmar0`, `ivhd0`, as sysfs calls it. */
  readonly name: string;
  readonly segment?: Fact<number>;
  /** Physical address of its registers. */
  readonly registerBase?: Fact<bigint>;
  /**
   * Registers that were read from the hardware, by the names in `spec/`. VT-d's fault recording registers are `FRCD0`
   * and on, 128 bits each.
   */
  readonly registers: ReadonlyMap<string, Fact<bigint>>;
  readonly queue?: Fact<QueueState>;
  /** Whether the kernel says that the unit remaps interrupts; a register says it better. */
  readonly remapping?: Fact<boolean>;
}

/** A VT-d unit. */
export interface VtdUnitState extends UnitFacts {
  readonly vendor: "intel";
  readonly version?: Fact<number>;
  readonly capability?: Fact<bigint>;
  readonly extendedCapability?: Fact<bigint>;
  /** What the kernel last wrote to GCMD; it stands for GSTS where that was not read. */
  readonly command?: Fact<number>;
  /** Destinations of 32 bits (IRTA.EIME). */
  readonly extendedMode?: Fact<boolean>;
  readonly table?: Fact<TableEntries>;
}

/** An AMD-Vi unit. */
export interface AmdviUnitState extends UnitFacts {
  readonly vendor: "amd";
  /** Its own requester id. */
  readonly requester?: Fact<number>;
  /** EFR and EFR2. */
  readonly features?: Fact<bigint>;
  readonly features2?: Fact<bigint>;
  readonly control?: Fact<bigint>;
  /** Device table entries by device id, 256 bits; those with V and IV both 0, and those without a table, may be left out. */
  readonly devices?: Fact<ReadonlyMap<number, bigint>>;
  /** Interrupt remapping tables by device id; aliases share one. */
  readonly tables: ReadonlyMap<number, Fact<TableEntries>>;
  /** Whether entries have 32-bit destinations (Control.XTEn). */
  readonly extendedMode?: Fact<boolean>;
}

export type UnitState = VtdUnitState | AmdviUnitState;
