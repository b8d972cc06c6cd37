import type { AddressSpace } from "./memory.ts";
import { UnreadableMemory } from "./memory.ts";
import { qword } from "./words.ts";

/** Where translation starts (SDM vol. 3A 4.5). */
export interface PageTableRoot {
  /** Physical address of the PML4 or PML5 table. */
  readonly base: bigint;
  readonly levels: 4 | 5;
  /** The bit of an entry that says that AMD's memory encryption is on (C-bit), as a mask; 0 without it. */
  readonly encryption: bigint;
}

const tableBytes = 4096;
const pageBits = 12n;
const addressBits = ((1n << 52n) - 1n) & ~0xfffn;
const present = 1n;
const large = 0x80n;
/** Tables and translations that are kept. */
const cacheLimit = 4096;

/** Virtual memory behind 4- or 5-level page tables in physical memory. */
export class PagedMemory implements AddressSpace {
  readonly name: string;
  readonly #physical: AddressSpace;
  readonly #root: PageTableRoot;
  readonly #address: bigint;
  readonly #tables = new Map<bigint, Uint8Array>();
  readonly #pages = new Map<bigint, bigint>();

  constructor(physical: AddressSpace, root: PageTableRoot) {
    this.name = physical.name;
    this.#physical = physical;
    this.#root = root;
    this.#address = addressBits & ~root.encryption;
  }

  read(address: bigint, length: number): Uint8Array {
    const first = this.#room(address);
    if (length <= first) return this.#physical.read(this.#translate(address, length), length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const start = this.#translate(address + BigInt(done), length - done);
      let run = Math.min(length - done, this.#room(address + BigInt(done)));
      // Pages that lie one behind the other are read at once.
      while (done + run < length) {
        const next = this.physical(address + BigInt(done + run));
        if (next !== start + BigInt(run)) break;
        run += Math.min(length - done - run, tableBytes);
      }
      bytes.set(this.#physical.read(start, run), done);
      done += run;
    }
    return bytes;
  }

  /** The physical address behind a virtual one; undefined when it is not mapped, or its tables are not there. */
  physical(address: bigint): bigint | undefined {
    const page = address >> pageBits;
    let start = this.#pages.get(page);
    if (start === undefined) {
      start = this.#walk(address);
      if (start === undefined) return undefined;
      if (this.#pages.size >= cacheLimit) this.#pages.clear();
      this.#pages.set(page, start);
    }
    return start + (address & 0xfffn);
  }

  #room(address: bigint): number {
    return tableBytes - Number(address & 0xfffn);
  }

  #translate(address: bigint, length: number): bigint {
    const physical = this.physical(address);
    if (physical === undefined) throw new UnreadableMemory(this.name, address, length, "not mapped");
    return physical;
  }

  /** The physical address of the 4 KiB around a virtual one. */
  #walk(address: bigint): bigint | undefined {
    const { levels } = this.#root;
    const width = levels === 5 ? 57 : 48;
    if (BigInt.asUintN(64, BigInt.asIntN(width, address)) !== address) return undefined;
    let table = this.#root.base;
    for (let level = levels as number; level > 0; level--) {
      const shift = 12 + 9 * (level - 1);
      const bytes = this.#table(table);
      if (bytes === undefined) return undefined;
      const entry = qword(bytes, Number((address >> BigInt(shift)) & 0x1ffn) * 8);
      if ((entry & present) === 0n) return undefined;
      const isLarge = (entry & large) !== 0n && (level === 2 || level === 3);
      if (level === 1 || isLarge) {
        const inside = (1n << BigInt(shift)) - 1n;
        // Bit 12 of a large page is its PAT bit.
        return (entry & this.#address & ~inside) | (address & inside & ~0xfffn);
      }
      table = entry & this.#address;
    }
    return undefined;
  }

  #table(base: bigint): Uint8Array | undefined {
    let bytes = this.#tables.get(base);
    if (bytes === undefined) {
      try {
        bytes = this.#physical.read(base, tableBytes);
      } catch (error) {
        if (error instanceof UnreadableMemory) return undefined;
        throw error;
      }
      if (this.#tables.size >= cacheLimit) this.#tables.clear();
      this.#tables.set(base, bytes);
    }
    return bytes;
  }
}
