import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";
import { dword, qword } from "./words.ts";

const pageBytes = 4096;

/** Entries of a table in memory. */
export interface FoundEntries {
  /** Those that are not zero, by index. */
  readonly entries: Map<number, bigint>;
  /** Why some of the table was not read; undefined where all of it was. */
  readonly unread: string | undefined;
}

/**
 * The entries of a table that are not zero. A page that is not there is left out, and the others are read.
 * @param width of an entry in bytes: 4, 16 or 32.
 */
export function readEntries(
  kernel: Kernel,
  address: bigint,
  length: number,
  width: 4 | 16 | 32,
): FoundEntries {
  const entries = new Map<number, bigint>();
  const size = length * width;
  try {
    collect(kernel.memory.read(address, size), 0, width, entries);
    return { entries, unread: undefined };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
  let unread: string | undefined;
  // Tables are aligned to their size, at least to 128 bytes: no entry lies in two pages.
  for (let at = 0; at < size;) {
    const part = Math.min(size - at, pageBytes - Number((address + BigInt(at)) & 0xfffn));
    try {
      collect(kernel.memory.read(address + BigInt(at), part), Math.floor(at / width), width, entries);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      unread ??= error.message;
    }
    at += part;
  }
  return { entries, unread };
}

function collect(bytes: Uint8Array, first: number, width: 4 | 16 | 32, entries: Map<number, bigint>): void {
  for (let at = 0, index = first; at + width <= bytes.length; at += width, index++) {
    if (width === 4) {
      const value = dword(bytes, at);
      if (value !== 0) entries.set(index, BigInt(value));
      continue;
    }
    let any = 0;
    for (let i = 0; i < width; i += 4) any |= dword(bytes, at + i);
    if (any === 0) continue;
    let value = 0n;
    for (let i = width - 8; i >= 0; i -= 8) value = (value << 64n) | qword(bytes, at + i);
    entries.set(index, value);
  }
}
