import { InputError } from "../input-error.ts";

/**
 * Expands a block of Snappy without framing: the length of what comes out (a varint), then literals and copies of what
 * came out before.
 * @param size the most that may come out, in bytes.
 * @throws InputError when it is damaged, or more comes out.
 */
export function expandSnappy(bytes: Uint8Array, size: number): Uint8Array {
  const { length, at: start } = lengthOf(bytes);
  if (length > size) throw new InputError(`snappy data: ${length} bytes, expected at most ${size}`);
  const out = new Uint8Array(length);
  let at = start;
  let to = 0;
  const take = (count: number): number => {
    if (at + count > bytes.length) throw damaged(at);
    let value = 0;
    for (let i = count - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
    at += count;
    return value;
  };
  while (at < bytes.length) {
    const tag = bytes[at]!;
    at++;
    const high = tag >> 2;
    if ((tag & 3) === 0) {
      // Up to 60 bytes by the tag alone; above, it says how many bytes hold the length.
      const count = 1 + (high < 60 ? high : take(high - 59));
      if (at + count > bytes.length || to + count > length) throw damaged(at);
      out.set(bytes.subarray(at, at + count), to);
      at += count;
      to += count;
      continue;
    }
    const short = (tag & 3) === 1;
    const count = short ? 4 + (high & 7) : 1 + high;
    const distance = short ? ((tag >> 5) << 8) | take(1) : take((tag & 3) === 2 ? 2 : 4);
    if (distance === 0 || distance > to || to + count > length) throw damaged(at);
    // Byte by byte: a copy may run into what it writes.
    for (const end = to + count; to < end; to++) out[to] = out[to - distance]!;
  }
  if (to !== length) throw damaged(at);
  return out;
}

function lengthOf(bytes: Uint8Array): { length: number; at: number } {
  let length = 0;
  for (let at = 0; at < Math.min(bytes.length, 5); at++) {
    length += (bytes[at]! & 0x7f) * 2 ** (7 * at);
    if (bytes[at]! < 0x80) return { length, at: at + 1 };
  }
  throw damaged(0);
}

function damaged(at: number): InputError {
  return new InputError(`snappy data: damaged or cut off at byte ${at}`);
}
