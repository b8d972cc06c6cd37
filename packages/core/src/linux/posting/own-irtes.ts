import * as irte from "../../spec/accessors/irte-posted.ts";
import type { IrtePort } from "./irte-state.ts";

/** Words of an entry: in the table, as the unit holds it, and how many interrupts the unit has in hand with it. */
export const ownIrteWords = 2 * irte.WORDS + 1;

/** A table and a unit in a few words, for states that are to be copied: the unit holds every present entry that it has fetched. */
export class OwnIrtes implements IrtePort {
  readonly #words: Int32Array;
  readonly #first: number;

  constructor(words: Int32Array, first: number) {
    this.#words = words;
    this.#first = first;
  }

  /** Where an entry begins in the table. */
  tableAt(entry: number): number {
    return this.#first + entry * ownIrteWords;
  }

  /** Where the unit holds an entry: not present while it holds none. */
  heldAt(entry: number): number {
    return this.tableAt(entry) + irte.WORDS;
  }

  read(entry: number, word: number): number {
    return this.#words[this.tableAt(entry) + word]!;
  }

  write(entry: number, word: number, value: number): void {
    this.#words[this.tableAt(entry) + word] = value;
  }

  writeBack(): void {}

  invalidate(entry: number): number {
    const held = this.heldAt(entry);
    this.#words.fill(0, held, held + irte.WORDS);
    return 0;
  }

  drained(entry: number): boolean {
    return this.#words[this.heldAt(entry) + irte.WORDS] === 0;
  }

  /** The unit begins to post an interrupt, or is through with it. */
  inHand(entry: number, change: 1 | -1): void {
    this.#words[this.heldAt(entry) + irte.WORDS]! += change;
  }

  /** The unit looks an entry up. @returns where it holds it. */
  lookUp(entry: number): number {
    const held = this.heldAt(entry);
    if (irte.p(this.#words, held) === 0) {
      const table = this.tableAt(entry);
      this.#words.copyWithin(held, table, table + irte.WORDS);
    }
    return held;
  }
}
