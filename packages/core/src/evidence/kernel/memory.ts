import { InputError } from "../input-error.ts";

/** Memory that can be read by address; nothing is loaded that is not asked for. */
export interface AddressSpace {
  /** What to call it in messages. */
  readonly name: string;
  /**
   * Reads exactly `length` bytes; the caller does not write to them.
   * @param address unsigned 64 bits.
   * @throws UnreadableMemory when they are not all there.
   */
  read(address: bigint, length: number): Uint8Array;
}

/** Memory that a walk came upon and that is not there: unmapped, excluded from the dump, past its end. */
export class UnreadableMemory extends InputError {
  readonly address: bigint;

  constructor(space: string, address: bigint, length: number, why: string) {
    super(`${space}: ${length} bytes at 0x${address.toString(16)}: ${why}`);
    this.address = address;
  }
}

/**
 * From `least` to `most` bytes: what lies behind the page in which the least end may not be there.
 * @throws UnreadableMemory when not even they are.
 */
export function readUpTo(memory: AddressSpace, address: bigint, least: number, most: number): Uint8Array {
  try {
    return memory.read(address, most);
  } catch (error) {
    if (!(error instanceof UnreadableMemory)) throw error;
    const end = ((address + BigInt(Math.max(least, 1) - 1)) | 0xfffn) + 1n;
    return memory.read(address, Math.min(most, Number(end - address)));
  }
}
