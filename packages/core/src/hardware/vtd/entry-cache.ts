import { Slot, Tag, Word, cacheBase, irteOf, slotOf } from "./state.ts";

/** What is found out about an entry when it is fetched, so that hits need not look again: the words of {@link Slot}. */
export interface Findings {
  readonly prepared: number;
  readonly source: number;
  readonly target: number;
  readonly targetHigh: number;
}

/**
 * The interrupt-entry cache (VT-d 5.10 §6.2.1): entries tagged by their index, kept until software invalidates them.
 * It is as large as the largest table, so nothing is ever evicted: the worst that a driver can meet.
 */
export class EntryCache {
  readonly #state: Int32Array;

  constructor(state: Int32Array) {
    this.#state = state;
  }

  /** Keeps the IRTE at `source[at]` under an index, with what was found out about it. */
  hold(index: number, source: Int32Array, at: number, findings: Findings): void {
    for (let i = 0; i < 4; i++) this.#state[irteOf(index) + i] = source[at + i]!;
    this.#annotate(index, findings);
    if (index >= this.#state[Word.cacheTop]!) this.#state[Word.cacheTop] = index + 1;
  }

  holds(index: number): boolean {
    return this.#state[slotOf(index)] !== 0;
  }

  /** Judges every held entry anew, after a setting on which legality depends has changed. */
  rejudge(judge: (words: Int32Array, at: number) => Findings): void {
    for (let index = 0; index < this.#state[Word.cacheTop]!; index++) {
      if (this.holds(index)) this.#annotate(index, judge(this.#state, irteOf(index)));
    }
  }

  // vtd.iec.invalidate
  invalidateAll(): void {
    this.#state.fill(0, cacheBase, slotOf(this.#state[Word.cacheTop]!));
    this.#state[Word.cacheTop] = 0;
  }

  // vtd.iec.invalidate
  invalidate(first: number, count: number): void {
    const end = Math.min(first + count, this.#state[Word.cacheTop]!);
    if (end > first) this.#state.fill(0, slotOf(first), slotOf(end));
  }

  #annotate(index: number, { prepared, source, target, targetHigh }: Findings): void {
    const slot = slotOf(index);
    this.#state[slot + Slot.prepared] = prepared | Tag.held;
    this.#state[slot + Slot.source] = source;
    this.#state[slot + Slot.target] = target;
    this.#state[slot + Slot.targetHigh] = targetHigh;
  }
}
