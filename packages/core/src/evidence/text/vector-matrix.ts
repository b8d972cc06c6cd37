import type { VectorBudget } from "../host/processor.ts";
import { linesOf } from "../log-line.ts";

/** What debugfs `irq/domains/VECTOR` says of the vectors of each processor that is online. */
export interface VectorMatrix {
  readonly processors: readonly {
    readonly cpu: number;
    readonly line: number;
    readonly budget: VectorBudget;
  }[];
  /** Lines that were read. */
  readonly lines: ReadonlySet<number>;
}

const heading = /^\s*\| CPU \| avl \| man \| mac \| act \| vectors\s*$/;
const total = /^\s*(?:Online bitmaps|Global available|Global reserved|Total allocated|System): /;
const row = /^\s*(\d{1,5})\s+(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})(?:\s+\d[\d,-]*)?\s*$/;

/** Reads the table of the matrix allocator: available, managed, managed and allocated, allocated, and which. */
export function readVectorMatrix(text: string): VectorMatrix {
  const processors: VectorMatrix["processors"][number][] = [];
  const lines = new Set<number>();
  let inside = false;
  for (const { number, text: line } of linesOf(text)) {
    const isHeading = heading.test(line);
    const match: RegExpExecArray | null = inside ? row.exec(line) : null;
    inside = isHeading || match !== null;
    if (inside || total.test(line)) lines.add(number);
    if (match === null) continue;
    const [cpu, available, managed, managedAllocated, allocated] = match.slice(1).map(Number);
    const budget = {
      available: available!,
      allocated: allocated!,
      managed: managed!,
      managedAllocated: managedAllocated!,
    };
    processors.push({ cpu: cpu!, line: number, budget });
  }
  return { processors, lines };
}
