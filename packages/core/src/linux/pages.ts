import type { Memory } from "../hardware/memory.ts";

export const pageBytes = 4096;

/** The kernel's page allocator over one range of memory: first fit, naturally aligned, pages zeroed. */
export class PageAllocator {
  readonly #memory: Memory;
  readonly #from: number;
  readonly #to: number;
  /** What is allocated: start and bytes, by rising address. */
  readonly #taken: { readonly start: number; readonly bytes: number }[] = [];

  /** @param from first byte, `to` one past the last; both on page boundaries. */
  constructor(memory: Memory, from: number, to: number) {
    this.#memory = memory;
    this.#from = from;
    this.#to = to;
  }

  /** How many allocations were not freed. */
  get allocations(): number {
    return this.#taken.length;
  }

  /**
   * @param bytes rounded up to a power of two of pages; the block is aligned to its size.
   * @returns the physical address; -1 when there is no room.
   */
  allocate(bytes: number): number {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, pageBytes)));
    let start = Math.ceil(this.#from / size) * size;
    let at = 0;
    for (; at < this.#taken.length; at++) {
      const { start: next, bytes: length } = this.#taken[at]!;
      if (start + size <= next) break;
      start = Math.max(start, Math.ceil((next + length) / size) * size);
    }
    if (start + size > this.#to) return -1;
    this.#taken.splice(at, 0, { start, bytes: size });
    this.#clear(start, size);
    return start;
  }

  /** @throws RangeError when nothing is allocated there. */
  free(start: number): void {
    const at = this.#taken.findIndex((block) => block.start === start);
    if (at < 0) throw new RangeError(`pages: nothing is allocated at 0x${start.toString(16)}`);
    this.#taken.splice(at, 1);
  }

  #clear(start: number, bytes: number): void {
    for (let at = start; at < start + bytes; at += 4) {
      if (this.#memory.read32(at) !== 0) this.#memory.write32(at, 0);
    }
  }
}
