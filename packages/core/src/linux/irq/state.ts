import type { SystemVector } from "./system-vector.ts";
import type { IrqDescriptor } from "./descriptor.ts";
import type { IrqDomain } from "./domain.ts";
import type { VectorState } from "./vector-state.ts";

/** What the interrupt subsystem of one kernel keeps. */
export class IrqState {
  readonly descriptors = new Map<number, IrqDescriptor>();
  /** Every domain that exists, the root VECTOR first. */
  readonly domains: IrqDomain[] = [];
  /** What the root domain keeps; null before `arch_early_irq_init`. */
  vectors: VectorState | null = null;
  /** Interrupts of devices that found their descriptor. */
  taken = 0;
  /** Handlers of vectors that are the system's own, by vector. */
  readonly systemVectors: (SystemVector | null)[] = new Array<SystemVector | null>(256).fill(null);
}
