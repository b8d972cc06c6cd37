import type { Memory } from "../hardware/memory.ts";

/** What a guest takes for its RAM: guest physical 0 up to its size, at some place of the host's memory. */
export class GuestRam {
  readonly memory: Memory;
  /** Host physical address of the guest's 0, on a page boundary. */
  readonly base: number;
  readonly size: number;

  constructor(memory: Memory, base: number, size: number) {
    this.memory = memory;
    this.base = base;
    this.size = size;
  }

  /** Whether all of these bytes are RAM. */
  covers(address: number, length: number): boolean {
    return address >= 0 && length >= 0 && address + length <= this.size;
  }

  /** @throws RangeError when the bytes are not all RAM. */
  read(address: number, length: number): Uint8Array {
    this.#check(address, length);
    return this.memory.readBytes(this.base + address, length);
  }

  /** @throws RangeError when the bytes are not all RAM. */
  write(address: number, bytes: Uint8Array): void {
    this.#check(address, bytes.length);
    this.memory.writeBytes(this.base + address, bytes);
  }

  #check(address: number, length: number): void {
    if (!this.covers(address, length)) {
      throw new RangeError(`guest RAM: ${length} bytes at 0x${address.toString(16)} are not all RAM`);
    }
  }
}
