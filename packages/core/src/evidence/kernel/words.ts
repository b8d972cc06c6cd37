/** The unsigned little-endian 64 bits at a position; the bytes are there. */
export function qword(bytes: Uint8Array, at: number): bigint {
  return (BigInt(dword(bytes, at + 4)) << 32n) | BigInt(dword(bytes, at));
}

/** The unsigned little-endian 32 bits at a position; the bytes are there. */
export function dword(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** The unsigned little-endian 16 bits at a position; the bytes are there. */
export function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** The text from `start` up to the first zero byte, or to `end`; each byte is a character. */
export function textUpToZero(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end && bytes[i] !== 0; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}
