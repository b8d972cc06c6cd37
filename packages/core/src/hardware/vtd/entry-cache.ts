import { Tag, Word, cacheBase, cacheEntries, cacheStride } from "./state.ts";

/**
 * The interrupt-entry cache (VT-d 5.10 §6.2.1): entries tagged by their index, kept until software invalidates them.
 * It is as large as the largest table, so nothing is ever evicted: the worst that a driver can meet.
 */
export class EntryCache {
  readonly #state: Int32Array;

  constructor(state: Int32Array) {
    this.#state = state;
  }

  /** Keeps the IRTE at `source[at]` under an index. */
  hold(index: number, source: Int32Array, at: number, tag: number): void {
    const slot = cacheBase + index * cacheStride;
    this.#state[slot] = tag | Tag.held;
    for (let i = 0; i < 4; i++) this.#state[slot + 1 + i] = source[at + i]!;
    if (index >= this.#state[Word.cacheTop]!) this.#state[Word.cacheTop] = index + 1;
  }

  holds(index: number): boolean {
    return this.#state[cacheBase + index * cacheStride] !== 0;
  }

  /** Tags every held entry anew, after a setting on which legality depends has changed. */
  retag(tagOf: (words: Int32Array, at: number) => number): void {
    for (let index = 0; index < this.#state[Word.cacheTop]!; index++) {
      const slot = cacheBase + index * cacheStride;
      if (this.#state[slot] !== 0) this.#state[slot] = tagOf(this.#state, slot + 1) | Tag.held;
    }
  }

  // vtd.iec.invalidate
  invalidateAll(): void {
    this.#state.fill(0, cacheBase, cacheBase + this.#state[Word.cacheTop]! * cacheStride);
    this.#state[Word.cacheTop] = 0;
  }

  // vtd.iec.invalidate
  invalidate(first: number, count: number): void {
    const end = Math.min(first + count, cacheEntries, this.#state[Word.cacheTop]!);
    for (let index = first; index < end; index++) this.#state[cacheBase + index * cacheStride] = 0;
  }
}
