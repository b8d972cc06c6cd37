import { UnreadableMemory } from "../memory.ts";
import type { MemoryRange, PhysicalMemory } from "../physical-memory.ts";

const pageBytes = 4096n;

/** Memory of which only the pages that were written to are there; the others cannot be read. */
export class SparseMemory implements PhysicalMemory {
  readonly name = "memory";
  vmcoreinfo?: Uint8Array;
  readonly #pages = new Map<bigint, Uint8Array>();

  /** Pages that are there, neighbours as one. */
  get ranges(): readonly MemoryRange[] {
    const ranges: { start: bigint; end: bigint }[] = [];
    for (const page of [...this.#pages.keys()].sort((a, b) => (a < b ? -1 : 1))) {
      const last = ranges.at(-1);
      const end = (page + 1n) * pageBytes;
      if (last?.end === page * pageBytes) last.end = end;
      else ranges.push({ start: page * pageBytes, end });
    }
    return ranges;
  }

  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#each(address, length, (page, at, done, part) => {
      const found = this.#pages.get(page);
      if (found === undefined) throw new UnreadableMemory(this.name, address, length, "never written");
      bytes.set(found.subarray(at, at + part), done);
    });
    return bytes;
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.#each(address, bytes.length, (page, at, done, part) => {
      let found = this.#pages.get(page);
      if (found === undefined) this.#pages.set(page, (found = new Uint8Array(4096)));
      found.set(bytes.subarray(done, done + part), at);
    });
  }

  /** Writes a number, least significant byte first. */
  put(address: bigint, value: bigint | number, size = 8): void {
    const bytes = new Uint8Array(size);
    let rest = BigInt.asUintN(size * 8, BigInt(value));
    for (let i = 0; i < size; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
    this.write(address, bytes);
  }

  /** Writes text and a zero byte. */
  text(address: bigint, text: string): void {
    this.write(address, latin1(`${text}\0`));
  }

  #each(
    address: bigint,
    length: number,
    part: (page: bigint, at: number, done: number, part: number) => void,
  ): void {
    for (let done = 0; done < length;) {
      const at = Number((address + BigInt(done)) % pageBytes);
      const size = Math.min(length - done, 4096 - at);
      part((address + BigInt(done)) / pageBytes, at, done, size);
      done += size;
    }
  }
}

export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
