import { InputError } from "@intremap/core";

/** Digits without a prefix, with every leading zero of `width` bits. */
export function digitsOf(value: bigint, width: number): string {
  return value.toString(16).padStart(Math.ceil(width / 4), "0");
}

/** The words of a value, the most significant first. */
export function wordsOf(value: bigint, width: number, word = 64): string[] {
  const digits = digitsOf(value, width);
  const words: string[] = [];
  for (let end = digits.length; end > 0; end -= word / 4)
    words.unshift(digits.slice(Math.max(0, end - word / 4), end));
  return words;
}

/**
 * One value of at most `width` bits, as somebody typed it; its words may stand apart, the most significant first.
 * @throws InputError when it is none.
 */
export function readWide(text: string, width: number): bigint {
  const words = text.trim().split(/[\s,]+/);
  const digits = words.map((word) => word.replace(/^0x/i, "").replaceAll(/[_`]/g, "")).join("");
  if (digits === "") throw new InputError("expected hex digits");
  const wrong = /[^0-9a-f]/i.exec(digits);
  if (wrong !== null) throw new InputError(`"${wrong[0]}" is no hex digit`);
  const value = digits.length > 4 * width ? 1n << BigInt(width) : BigInt(`0x${digits}`);
  if (value >> BigInt(width)) throw new InputError(`more than ${width} bits`);
  return value;
}
