const slots = 2048;
const learnedLimit = 512;
const nameLimit = 96;

/**
 * Event names by their bytes, with a count each. Names that are not declared are learned up to a bound, so that what
 * a reader skips can be told by name; past it they are counted together.
 */
export class Names {
  readonly #hashes = new Int32Array(slots);
  readonly #ids = new Int32Array(slots).fill(-1);
  readonly #bytes: Uint8Array[] = [];
  readonly #counts = new Float64Array(slots);
  readonly #firstLines = new Float64Array(slots);
  readonly #declared: number;
  #others = 0;
  #firstOther = 0;

  /** Declared names have their position as id. */
  constructor(declared: readonly string[]) {
    for (const name of declared) {
      const bytes = Uint8Array.from(name, (char) => char.charCodeAt(0));
      let hash = hashStart;
      for (const byte of bytes) hash = hashStep(hash, byte);
      this.#learn(bytes, this.#slotOf(bytes, 0, bytes.length, hash), hash);
    }
    this.#declared = declared.length;
  }

  /** Counts a name, and returns its id; -1 for one that was not declared. */
  count(bytes: Uint8Array, from: number, to: number, hash: number, line: number): number {
    const slot = this.#slotOf(bytes, from, to, hash);
    let id = this.#ids[slot]!;
    if (id < 0) {
      if (this.#bytes.length - this.#declared >= learnedLimit || to - from > nameLimit) {
        if (this.#others === 0) this.#firstOther = line;
        this.#others++;
        return -1;
      }
      id = this.#learn(bytes.slice(from, to), slot, hash);
    }
    if (this.#counts[id] === 0) this.#firstLines[id] = line;
    this.#counts[id]!++;
    return id < this.#declared ? id : -1;
  }

  countOf(id: number): number {
    return this.#counts[id]!;
  }

  /** The names that were learned, and how often and where first each was met. */
  learned(): { name: string; count: number; line: number }[] {
    const rows = this.#bytes.slice(this.#declared).map((bytes, i) => ({
      name: textOf(bytes, 0, bytes.length),
      count: this.#counts[this.#declared + i]!,
      line: this.#firstLines[this.#declared + i]!,
    }));
    if (this.#others > 0) rows.push({ name: furtherNames, count: this.#others, line: this.#firstOther });
    return rows;
  }

  #learn(bytes: Uint8Array, slot: number, hash: number): number {
    const id = this.#bytes.push(bytes) - 1;
    this.#hashes[slot] = hash;
    this.#ids[slot] = id;
    return id;
  }

  /** The slot that holds the name, or the free one where it belongs. The table is never full: what is learned is bounded. */
  #slotOf(bytes: Uint8Array, from: number, to: number, hash: number): number {
    let slot = (hash ^ (hash >>> 15)) & (slots - 1);
    for (;;) {
      const id = this.#ids[slot]!;
      if (id < 0 || (this.#hashes[slot] === hash && same(this.#bytes[id]!, bytes, from, to))) return slot;
      slot = (slot + 1) & (slots - 1);
    }
  }
}

/** Stands for the names past the bound. */
export const furtherNames = "(further names)";

export const hashStart = 0;

export function hashStep(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
}

/** Bytes as text, one character each. */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}

function same(name: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) return false;
  return true;
}
