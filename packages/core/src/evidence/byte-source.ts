import { InputError } from "./input-error.ts";

/** Bytes that can be read at any position: a file, a part of one, or memory. */
export interface ByteSource {
  /** What to call it in messages: a path, a URL. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes from `offset`; the caller does not write to them.
   * @param offset a bigint past 2^53: in /proc/kcore, segments lie that far apart.
   * @throws InputError when they do not all lie in the source.
   */
  read(offset: number | bigint, length: number): Uint8Array;
}

/** A source over bytes in memory; what it reads shares them. */
export function bytesSource(bytes: Uint8Array, name = "bytes"): ByteSource {
  return {
    name,
    size: bytes.length,
    read(position, length) {
      const offset = Number(position);
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) {
        throw new InputError(
          `${name}: offset 0x${offset.toString(16)}: expected ${length} bytes, the end is at ${bytes.length}`,
        );
      }
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** All bytes of a source. */
export function readAll(source: ByteSource): Uint8Array {
  return source.read(0, source.size);
}

/** The unsigned value of some bytes, least significant first. */
export function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  return value;
}

/** Text of some bytes, each a character of Latin-1, without trailing zeros and spaces. */
export function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes).replace(/[\0 ]+$/, "");
}
