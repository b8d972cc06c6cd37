import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";
import type { AddressSpace } from "./memory.ts";

const pageBytes = 4096;
/** 64 MiB of pages are kept. */
const pageLimit = 16384;

/** The same kernel, whose memory keeps the pages that it has read: structures of one kind lie side by side. */
export function keepPages(kernel: Kernel): Kernel {
  return {
    release: kernel.release,
    memory: new KeptPages(kernel.memory),
    ...(kernel.ram === undefined ? {} : { ram: kernel.ram }),
    symbols: kernel.symbols,
    types: kernel.types,
    physical: (virtual) => kernel.physical(virtual),
    virtual: (physical) => kernel.virtual(physical),
  };
}

class KeptPages implements AddressSpace {
  readonly name: string;
  readonly #memory: AddressSpace;
  readonly #pages = new Map<bigint, Uint8Array>();

  constructor(memory: AddressSpace) {
    this.name = memory.name;
    this.#memory = memory;
  }

  read(address: bigint, length: number): Uint8Array {
    const offset = Number(address & 0xfffn);
    if (length > pageBytes) return this.#memory.read(address, length);
    if (offset + length > pageBytes) {
      const first = pageBytes - offset;
      const bytes = new Uint8Array(length);
      bytes.set(this.read(address, first));
      bytes.set(this.read(BigInt.asUintN(64, address + BigInt(first)), length - first), first);
      return bytes;
    }
    const page = this.#page(address - BigInt(offset));
    // Where the page is not whole, what was asked for may still be there, and the error says what was asked for.
    return page === undefined ? this.#memory.read(address, length) : page.subarray(offset, offset + length);
  }

  #page(address: bigint): Uint8Array | undefined {
    let page = this.#pages.get(address);
    if (page === undefined) {
      try {
        page = this.#memory.read(address, pageBytes);
      } catch (error) {
        if (error instanceof InputError) return undefined;
        throw error;
      }
      if (this.#pages.size >= pageLimit) this.#pages.clear();
      this.#pages.set(address, page);
    }
    return page;
  }
}
