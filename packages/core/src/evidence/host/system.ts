import type { Vendor } from "../qemu-trace/index.ts";
import type { Fact } from "./fact.ts";

/** How local APICs are addressed. */
export interface ApicRouting {
  readonly mode: "xapic" | "x2apic";
  /** `flat`: a logical destination is a mask of up to eight processors; `cluster`: x2APIC clusters of sixteen. */
  readonly destinations: "flat" | "physical" | "cluster";
}

/** A host as a whole. */
export interface HostSystem {
  /** Of the processors; Hygon's count as AMD's. */
  readonly vendor?: Fact<Vendor>;
  /** As `uname -r` prints it. */
  readonly release?: Fact<string>;
  /** The kernel's command line. */
  readonly commandLine?: Fact<string>;
  readonly routing?: Fact<ApicRouting>;
  /** Processor flags of /proc/cpuinfo. */
  readonly flags?: Fact<ReadonlySet<string>>;
  /** Module parameters as sysfs has them, by `module.parameter`: `kvm_intel.enable_apicv` is `Y`. */
  readonly parameters: ReadonlyMap<string, Fact<string>>;
  /**
   * The kernel's own variables of interrupt remapping, by symbol: `disable_sourceid_checking`, `irq_remapping_enabled`.
   * `remap_ops` is the name of the implementation that it chose, the others are numbers.
   */
  readonly variables?: Fact<ReadonlyMap<string, number | string>>;
  /** Loaded modules. */
  readonly modules?: Fact<ReadonlySet<string>>;
  /**
   * Counts of rows of /proc/interrupts that are no device's, by label (`PIN`, `PIW`, `PMN`), one for each processor;
   * `ERR` and `MIS` may have one for the machine.
   */
  readonly counters: ReadonlyMap<string, Fact<readonly number[]>>;
}
