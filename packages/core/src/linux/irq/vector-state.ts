import type { Kernel } from "../kernel.ts";
import type { IrqData, IrqDescriptor } from "./descriptor.ts";
import type { IrqDomain } from "./domain.ts";
import { IrqMatrix } from "./matrix.ts";
import { vectors, withCleanupVector, withPostedMsi } from "./vectors.ts";

/** `struct irq_cfg`: where an interrupt is to be sent. */
export interface VectorConfig {
  vector: number;
  /** `dest_apicid`, as the APIC driver has it. */
  destination: number;
  /** Linux CPU number. */
  cpu: number;
}

/** `struct apic_chip_data`: what the VECTOR level keeps for an interrupt. */
export class ApicChipData {
  readonly irq: number;
  readonly config: VectorConfig = { vector: 0, destination: 0, cpu: 0 };
  /** The vector that it holds, 0 for none, and its CPU. */
  vector = 0;
  cpu = 0;
  /** The vector that it held before it moved, 0 for none, and its CPU: freed when nothing can arrive there any more. */
  previousVector = 0;
  previousCpu = 0;
  moveInProgress = false;
  /** Waits in {@link VectorState.cleanup}. */
  queued = false;
  canReserve = false;
  hasReserved = false;

  constructor(irq: number) {
    this.irq = irq;
  }
}

/** What the root of the hierarchy keeps: all vectors of all CPUs. */
export class VectorState {
  readonly domain: IrqDomain;
  readonly matrix: IrqMatrix;
  /** `vector_irq`: by Linux CPU number and vector, the interrupt that arrives there. */
  readonly table: readonly (IrqDescriptor | null)[][];
  /** VECTOR_RETRIGGERED, VECTOR_SHUTDOWN: one stray interrupt at an empty place of the table is no surprise. */
  readonly excused: readonly Uint8Array[];
  /** By Linux CPU number: interrupts whose old vector on that CPU is to be freed. */
  readonly cleanup: readonly Set<ApicChipData>[];

  /** Vectors from here up are the system's. */
  readonly firstSystemVector: number;
  /** The entry from the IDT is that of releases before 5.8. */
  readonly oldEntry: boolean;

  constructor(k: Kernel, domain: IrqDomain) {
    this.oldEntry = k.runs({ below: "5.8" });
    this.domain = domain;
    const end = k.runs(withPostedMsi) ? vectors.POSTED_MSI_NOTIFICATION : vectors.LOCAL_TIMER;
    const system: number[] = Object.values(vectors).filter((vector) => vector >= end);
    system.push(vectors.SYSCALL);
    if (k.runs(withCleanupVector)) system.push(vectors.IRQ_MOVE_CLEANUP);
    this.firstSystemVector = end;
    this.matrix = new IrqMatrix(vectors.FIRST_EXTERNAL, end, system, k.cpus.length);
    this.table = k.cpus.map(() => new Array<IrqDescriptor | null>(256).fill(null));
    this.excused = k.cpus.map(() => new Uint8Array(256));
    this.cleanup = k.cpus.map(() => new Set());
  }
}

/** `apic_chip_data`: what the lowest level keeps, from any level. */
export function chipDataOf(data: IrqData): ApicChipData {
  let root = data;
  while (root.parent !== null) root = root.parent;
  return root.chipData as ApicChipData;
}

/** `irqd_cfg`: where an interrupt is to be sent; the same object for as long as the interrupt exists. */
export function vectorConfig(data: IrqData): VectorConfig {
  return chipDataOf(data).config;
}
