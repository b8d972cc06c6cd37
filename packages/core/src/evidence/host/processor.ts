import type { Fact } from "./fact.ts";

/** Vectors of one processor, as the kernel's matrix allocator counts them. */
export interface VectorBudget {
  readonly available: number;
  readonly allocated: number;
  readonly managed: number;
  readonly managedAllocated: number;
}

/** A processor of the host. */
export interface Processor {
  /** Linux's number. */
  readonly cpu: number;
  readonly apicId?: Fact<number>;
  /** Flat: one bit of eight; cluster: cluster in bits 31:16, one bit of sixteen. */
  readonly logicalId?: Fact<number>;
  readonly online?: Fact<boolean>;
  readonly vectors?: Fact<VectorBudget>;
}
