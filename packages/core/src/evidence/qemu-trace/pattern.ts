/**
 * A trace event's arguments as a small program over bytes, compiled once from its format.
 *
 * `%x` is a hexadecimal number with `0x`, up to 64 bits: two fields, low and high; `%w` one of up to 32 bits, one field;
 * `%h` the same without `0x`; `%d` a decimal one, up to 32 bits, with a sign if it has one; `%s` a word, skipped; `%*` the rest of the line,
 * whose extent becomes two fields, from and to. `[` … `]` at the end may be absent, its fields then being -1.
 */
export class Pattern {
  readonly #program: Int16Array;

  constructor(format: string) {
    const program: number[] = [];
    for (let i = 0; i < format.length; i++) {
      const char = format[i]!;
      if (char === "%") program.push(operations[format[++i] as keyof typeof operations]);
      else if (char === "[") program.push(optional);
      else if (char !== "]") program.push(format.charCodeAt(i));
    }
    this.#program = Int16Array.from(program);
  }

  /** Reads `bytes[at]` to `bytes[end - 1]` into `fields`. False if they do not have the format. */
  match(bytes: Uint8Array, at: number, end: number, fields: Int32Array): boolean {
    const program = this.#program;
    let slot = 0;
    for (let i = 0; i < program.length; i++) {
      const operation = program[i]!;
      if (operation >= 0) {
        if (at >= end || bytes[at] !== operation) return false;
        at++;
        continue;
      }
      switch (operation) {
        case operations.x:
          if (end - at < 3 || bytes[at] !== 0x30 || bytes[at + 1] !== 0x78) return false;
          at = readHex(bytes, at + 2, end, 16, fields, slot);
          slot += 2;
          break;
        case operations.w:
          if (end - at < 3 || bytes[at] !== 0x30 || bytes[at + 1] !== 0x78) return false;
          at = readHex(bytes, at + 2, end, 8, fields, slot);
          slot += 1;
          break;
        case operations.h:
          at = readHex(bytes, at, end, 8, fields, slot);
          slot += 1;
          break;
        case operations.d:
          at = readDecimal(bytes, at, end, fields, slot);
          slot += 1;
          break;
        case operations.s:
          while (at < end && bytes[at] !== 0x20) at++;
          break;
        case operations["*"]:
          fields[slot] = at;
          fields[slot + 1] = end;
          return true;
        default:
          if (at === end) {
            fields.fill(-1, slot);
            return true;
          }
      }
      if (at < 0) return false;
    }
    while (at < end && bytes[at] === 0x20) at++;
    return at === end;
  }
}

const operations = { x: -1, h: -2, d: -3, s: -4, "*": -5, w: -6 } as const;
const optional = -7;

/** Fields a pattern may fill, at most. */
export const fieldLimit = 16;

/** Returns where the number ends, or -1. The value goes to `fields[slot]` and, past 32 bits, `fields[slot + 1]`. */
function readHex(
  bytes: Uint8Array,
  at: number,
  end: number,
  most: number,
  fields: Int32Array,
  slot: number,
): number {
  let low = 0;
  let high = 0;
  const from = at;
  for (; at < end; at++) {
    const byte = bytes[at]!;
    let digit = byte - 0x30;
    if (digit > 9 || digit < 0) {
      digit = (byte | 0x20) - 0x57;
      if (digit < 10 || digit > 15) break;
    }
    high = (high << 4) | (low >>> 28);
    low = (low << 4) | digit;
  }
  if (at === from || at - from > most) return -1;
  fields[slot] = low;
  if (most > 8) fields[slot + 1] = high;
  return at;
}

/** Returns where the number ends, or -1. */
function readDecimal(bytes: Uint8Array, at: number, end: number, fields: Int32Array, slot: number): number {
  const negative = at < end && bytes[at] === 0x2d;
  if (negative) at++;
  const from = at;
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    if (value > 0xffff_ffff) return -1;
  }
  if (at === from) return -1;
  fields[slot] = negative ? -value : value;
  return at;
}
