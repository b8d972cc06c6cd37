import * as irte from "../../spec/accessors/irte-remapped.ts";

/** Entries of the largest table. */
export const indexLimit = 65_536;

/** All that hardware uses of an entry's first word: not what is left to software. */
const usedBits = ~irte.AVAIL_MASK;

/**
 * What a trace has shown of each entry of the table: its content at the last use, and when software last invalidated
 * it. Moments are line numbers; 0 is never.
 */
export class EntryHistory {
  readonly #words = new Int32Array(indexLimit * irte.WORDS);
  readonly #used = new Float64Array(indexLimit);
  readonly #invalidated = new Float64Array(indexLimit);
  #allInvalidated = 0;
  #forgotten = 0;
  /** The last line at which anything of the table was invalidated. */
  lastInvalidation = 0;

  /** When the entry was last used; 0 if it was not, or what it held then no longer counts. */
  usedAt(index: number): number {
    const line = this.#used[index]!;
    return line > this.#forgotten ? line : 0;
  }

  /** When the entry was last invalidated, alone or with all. */
  invalidatedAt(index: number): number {
    return Math.max(this.#invalidated[index]!, this.#allInvalidated);
  }

  /** Whether a unit that keeps what it has used still holds the entry. */
  kept(index: number): boolean {
    return this.usedAt(index) > this.invalidatedAt(index);
  }

  /** Whether the entry was present when it was last used. */
  wasPresent(index: number): boolean {
    return irte.p(this.#words, index * irte.WORDS) !== 0;
  }

  /** Whether the words are those of the entry's last use, as far as hardware looks at them. */
  same(index: number, word0: number, word1: number, word2: number, word3: number): boolean {
    const at = index * irte.WORDS;
    const words = this.#words;
    return (
      ((words[at]! ^ word0) & usedBits) === 0 &&
      words[at + 1] === word1 &&
      words[at + 2] === word2 &&
      words[at + 3] === word3
    );
  }

  use(line: number, index: number, word0: number, word1: number, word2: number, word3: number): void {
    const at = index * irte.WORDS;
    this.#words[at] = word0;
    this.#words[at + 1] = word1;
    this.#words[at + 2] = word2;
    this.#words[at + 3] = word3;
    this.#used[index] = line;
  }

  /** The last use once more, with the content it had. */
  touch(line: number, index: number): void {
    this.#used[index] = line;
  }

  invalidateAll(line: number): void {
    this.#allInvalidated = line;
    this.lastInvalidation = line;
  }

  /** Invalidates the 2^mask entries that share the index without its low bits. */
  invalidate(line: number, index: number, mask: number): void {
    const count = 2 ** Math.min(mask, 16);
    const first = index - (index % count);
    this.#invalidated.fill(line, first, first + count);
    this.lastInvalidation = line;
  }

  /** From here on the entries are others: another table, or a unit that was reset. */
  forget(line: number): void {
    this.#forgotten = line;
  }

  /** Entries that were invalidated after their last use, or never used: what software changed there was not seen. */
  unseen(): number {
    let count = 0;
    for (let index = 0; index < indexLimit; index++) {
      if (this.#invalidated[index]! > this.#used[index]!) count++;
    }
    return count;
  }
}
