import { virtualApicPage, virtualApicStride } from "../../spec/apic/vmx.ts";
import { type Memory, chunkNumber, wordInChunk } from "../memory.ts";

/** Words from one register of a page to the next. */
const stride = virtualApicStride / 4;

/** Groups of 256 vector bits in a virtual-APIC page or an AVIC backing page: the word where each begins. */
export const group = {
  isr: virtualApicPage.visr / 4,
  tmr: virtualApicPage.vtmr / 4,
  irr: virtualApicPage.virr / 4,
} as const;

/**
 * A page of APIC registers in memory, laid out as the xAPIC page is: what VMX calls the virtual-APIC page and AVIC the
 * backing page. Vector v is bit v & 31 of the register at 16 (v >> 5) bytes.
 */
export class VectorPage {
  readonly address: number;
  readonly #memory: Memory;
  readonly #chunk: number;
  readonly #first: number;
  /** The chunk, once it is known to have been written: it stays the same from then on. */
  #written: Int32Array | null = null;

  /** @param address of the page, on a 4-KByte boundary. @throws RangeError when it is not. */
  constructor(memory: Memory, address: number) {
    if (address % 4096 !== 0)
      throw new RangeError(`APIC page at 0x${address.toString(16)}: a 4-KByte boundary was expected`);
    this.address = address;
    this.#memory = memory;
    this.#chunk = chunkNumber(address);
    this.#first = wordInChunk(address);
  }

  get #words(): Int32Array {
    return this.#written ?? this.#memory.chunk(this.#chunk);
  }

  get #writable(): Int32Array {
    return (this.#written ??= this.#memory.writableChunk(this.#chunk));
  }

  /** The register at a byte offset, as int32. */
  read(offset: number): number {
    return this.#words[this.#first + (offset >> 2)]!;
  }

  write(offset: number, value: number): void {
    this.#writable[this.#first + (offset >> 2)] = value;
  }

  /** ORs 32 vectors into a group: `part` 0 to 7 names which. */
  merge(start: number, part: number, vectors: number): void {
    const words = this.#writable;
    const at = this.#first + start + part * stride;
    words[at] = words[at]! | vectors;
  }

  set(start: number, vector: number): void {
    this.merge(start, vector >>> 5, 1 << vector);
  }

  clear(start: number, vector: number): void {
    const words = this.#writable;
    const at = this.#first + start + (vector >>> 5) * stride;
    words[at] = words[at]! & ~(1 << vector);
  }

  has(start: number, vector: number): boolean {
    const words = this.#words;
    return (words[this.#first + start + (vector >>> 5) * stride]! & (1 << vector)) !== 0;
  }

  /** The highest vector of a group; -1 if it is empty. */
  highest(start: number): number {
    const words = this.#words;
    const first = this.#first + start;
    for (let part = 7; part >= 0; part--) {
      const vectors = words[first + part * stride]!;
      if (vectors !== 0) return (part << 5) | (31 - Math.clz32(vectors));
    }
    return -1;
  }
}
