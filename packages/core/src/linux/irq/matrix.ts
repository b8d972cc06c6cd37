import { errno } from "../errno.ts";

/** The vectors of one CPU. */
class CpuMap {
  /** 1 for each vector that is taken. */
  readonly allocations = new Uint8Array(256);
  available: number;
  allocated = 0;

  constructor(available: number) {
    this.available = available;
  }
}

/** A vector of a CPU. */
export interface Placement {
  readonly vector: number;
  readonly cpu: number;
}

/**
 * `struct irq_matrix`: which vectors of each CPU are taken. A reservation promises some vector on some CPU without
 * taking one.
 */
export class IrqMatrix {
  readonly #start: number;
  readonly #system: ReadonlySet<number>;
  readonly #maps: CpuMap[];
  #reserved = 0;

  /** @param start the first vector that can be allocated, `end` one past the last; `system` never are. */
  constructor(start: number, end: number, system: readonly number[], cpus: number) {
    this.#start = start;
    this.#system = new Set(system);
    const inside = system.filter((vector) => vector >= start && vector < end).length;
    this.#maps = Array.from({ length: cpus }, () => new CpuMap(end - start - inside));
  }

  /** Vectors of all CPUs together that are free. */
  get available(): number {
    return this.#maps.reduce((sum, { available }) => sum + available, 0);
  }

  /** Interrupts that may ask for a vector and have none. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Vectors of all CPUs together that are taken. */
  get allocated(): number {
    return this.#maps.reduce((sum, { allocated }) => sum + allocated, 0);
  }

  /** `irq_matrix_reserve` */
  reserve(): void {
    this.#reserved++;
  }

  /** `irq_matrix_remove_reserved` */
  removeReserved(): void {
    this.#reserved--;
  }

  /**
   * `irq_matrix_alloc`: the lowest free vector of the CPU that has the most left.
   * @param reserved the interrupt gives its reservation up for it.
   * @returns the vector and its CPU, or a negative errno.
   */
  allocate(cpus: readonly number[], reserved: boolean): Placement | number {
    if (cpus.length === 0) return -errno.EINVAL;
    const cpu = this.#roomiest(cpus);
    const map = this.#maps[cpu];
    if (map === undefined) return -errno.ENOSPC;
    let vector = this.#start;
    while (map.allocations[vector] === 1 || this.#system.has(vector)) vector++;
    map.allocations[vector] = 1;
    map.allocated++;
    map.available--;
    if (reserved) this.#reserved--;
    return { vector, cpu };
  }

  /** `irq_matrix_free`. @throws RangeError when the vector is not taken. */
  free(cpu: number, vector: number): void {
    const map = this.#maps[cpu]!;
    if (map.allocations[vector] !== 1) throw new RangeError(`CPU ${cpu}: vector ${vector} is not allocated`);
    map.allocations[vector] = 0;
    map.allocated--;
    map.available++;
  }

  /** What a CPU has left, and what it has given away, in rising order. */
  of(cpu: number): { readonly available: number; readonly vectors: readonly number[] } {
    const { available, allocations } = this.#maps[cpu]!;
    return { available, vectors: [...allocations.keys()].filter((vector) => allocations[vector] === 1) };
  }

  get systemVectors(): readonly number[] {
    return [...this.#system];
  }

  /** The first CPU of those with most vectors left; -1 when none has any. */
  #roomiest(cpus: readonly number[]): number {
    let best = -1;
    let most = 0;
    for (const cpu of cpus) {
      const { available } = this.#maps[cpu]!;
      if (available <= most) continue;
      best = cpu;
      most = available;
    }
    return best;
  }
}
