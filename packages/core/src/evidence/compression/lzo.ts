import { InputError } from "../input-error.ts";

/** A match of distance 16384 at the longest range ends the data; it would be written so in no other case. */
const endDistance = 0x4000;

/**
 * Expands a block of LZO1X: literals, and copies of what came out before, at four ranges of distance. The low two bits
 * of a copy say how many literals follow it; what a short instruction means depends on how many there were.
 * @param size the most that may come out, in bytes.
 * @throws InputError when it is damaged, or more comes out.
 */
export function expandLzo(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let at = 0;
  let to = 0;
  /** Literals behind the last instruction: 0 to 3 by its low bits, 4 for a run of its own. */
  let literals = 0;

  const next = (): number => {
    if (at >= bytes.length) throw damaged(at);
    return bytes[at++]!;
  };
  /** A length that did not fit its bits: 255 for each zero byte, then the rest. */
  const longer = (base: number): number => {
    let length = base;
    for (;;) {
      const byte = next();
      if (byte !== 0) return length + byte;
      length += 255;
      if (length > size) throw damaged(at);
    }
  };
  const copyLiterals = (count: number): void => {
    if (at + count > bytes.length || to + count > size) throw damaged(at);
    out.set(bytes.subarray(at, at + count), to);
    at += count;
    to += count;
  };
  const copyMatch = (distance: number, length: number): void => {
    if (distance > to || to + length > size) throw damaged(at);
    // Byte by byte: a copy may run into what it writes.
    for (const end = to + length; to < end; to++) out[to] = out[to - distance]!;
  };

  if (bytes[0]! > 17) {
    const count = next() - 17;
    copyLiterals(count);
    literals = Math.min(count, 4);
  }
  for (;;) {
    const code = next();
    let trailing: number;
    if (code >= 64) {
      const length = code >= 128 ? 5 + ((code >> 5) & 3) : 3 + ((code >> 5) & 1);
      copyMatch(1 + ((code >> 2) & 7) + (next() << 3), length);
      trailing = code & 3;
    } else if (code >= 16) {
      const far = code < 32;
      const mask = far ? 7 : 31;
      const length = 2 + ((code & mask) === 0 ? longer(mask) : code & mask);
      const low = next();
      const reach = (low >> 2) | (next() << 6);
      const distance = far ? endDistance + ((code & 8) << 11) + reach : 1 + reach;
      if (far && distance === endDistance) {
        if (at !== bytes.length) throw damaged(at);
        return out.subarray(0, to);
      }
      copyMatch(distance, length);
      trailing = low & 3;
    } else if (literals === 0) {
      copyLiterals(3 + (code === 0 ? longer(15) : code));
      literals = 4;
      continue;
    } else {
      const distance = 1 + (code >> 2) + (next() << 2);
      if (literals === 4) copyMatch(distance + 2048, 3);
      else copyMatch(distance, 2);
      trailing = code & 3;
    }
    copyLiterals(trailing);
    literals = trailing;
  }
}

function damaged(at: number): InputError {
  return new InputError(`LZO data: damaged or cut off at byte ${at}`);
}
