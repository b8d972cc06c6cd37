/**
 * Names in a text that stays as it is, found without making a string of each: 200,000 symbols of a kernel, of which a
 * walk asks for fifty.
 */
export class NameTable {
  readonly #texts: readonly Uint8Array[];
  /** By name: in which text it stands. */
  readonly #which: Uint8Array;
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  /** By hash: the last name that was added, plus 1. */
  readonly #buckets: Int32Array;
  /** By name: the one before it with the same hash, plus 1. */
  readonly #before: Int32Array;
  #count = 0;

  /** @param capacity names at most. */
  constructor(texts: readonly Uint8Array[], capacity: number) {
    this.#texts = texts;
    this.#which = new Uint8Array(capacity);
    this.#starts = new Uint32Array(capacity);
    this.#ends = new Uint32Array(capacity);
    this.#before = new Int32Array(capacity);
    this.#buckets = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(capacity, 1) + 1)));
  }

  get count(): number {
    return this.#count;
  }

  /** Adds the name from `start` up to `end` of a text; its number is the count before. */
  add(start: number, end: number, which = 0): void {
    const text = this.#texts[which]!;
    let hash = basis;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ text[i]!, prime);
    this.#which[this.#count] = which;
    const bucket = hash & (this.#buckets.length - 1);
    this.#starts[this.#count] = start;
    this.#ends[this.#count] = end;
    this.#before[this.#count] = this.#buckets[bucket]!;
    this.#buckets[bucket] = ++this.#count;
  }

  /** The numbers of the names that are this one, in the order in which they were added. */
  find(name: string): number[] {
    let hash = basis;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), prime);
    const found: number[] = [];
    for (let at = this.#buckets[hash & (this.#buckets.length - 1)]!; at !== 0; at = this.#before[at - 1]!) {
      if (this.#is(at - 1, name)) found.push(at - 1);
    }
    return found.reverse();
  }

  #is(number: number, name: string): boolean {
    const start = this.#starts[number]!;
    if (this.#ends[number]! - start !== name.length) return false;
    const text = this.#texts[this.#which[number]!]!;
    for (let i = 0; i < name.length; i++) {
      if (text[start + i] !== name.charCodeAt(i)) return false;
    }
    return true;
  }
}

// FNV-1a, 32 bits.
const basis = 0x811c9dc5;
const prime = 0x01000193;
