import { InputError } from "../evidence/input-error.ts";

/** A value as it was typed. */
export interface HexValue {
  readonly value: bigint;
  /** Digits given, leading zeros included. */
  readonly digits: number;
}

/** No value is wider: 512 bits, and the marks between its digits. */
const textLimit = 256;

/**
 * Reads a hexadecimal value; `0x` in front, `_` and backticks between digits, and upper case are accepted.
 * @throws InputError when it is none, or when zero-padded to an odd number of digits: then one was lost.
 */
export function parseHex(text: string, position: string): HexValue {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  if (text.length > textLimit) {
    throw new InputError(
      `${position} "${shown}": ${text.length} characters, expected at most 128 hex digits`,
    );
  }
  const digits = text.trim().replace(/^0x/i, "").replaceAll(/[_`]/g, "");
  if (digits === "") throw new InputError(`${position} "${shown}": expected hex digits`);
  const wrong = /[^0-9a-f]/i.exec(digits);
  if (wrong !== null) {
    throw new InputError(`${position} "${shown}": "${wrong[0]}" at digit ${wrong.index + 1} is no hex digit`);
  }
  if (digits.length > 1 && digits.length % 2 === 1 && digits.startsWith("0")) {
    throw new InputError(
      `${position} "${shown}": ${digits.length} hex digits with leading zeros, expected an even number: is one missing?`,
    );
  }
  return { value: BigInt(`0x${digits}`), digits: digits.length };
}

/** How a value of several words is given. */
export interface WordForm {
  /** In bits. */
  readonly word: 32 | 64;
  readonly count: number;
  /** Which of the words comes first when they are given one by one. */
  readonly first: "high" | "low";
}

/**
 * Puts a value together from its words, or takes it whole: then with every digit, most significant first.
 * @throws InputError when the count of values or of their digits is wrong.
 */
export function parseWords(values: readonly string[], form: WordForm, what: string): bigint {
  const { word, count, first } = form;
  if (values.length === 1) {
    const { value, digits } = parseHex(values[0]!, "value");
    const expected = (word * count) / 4;
    if (count === 1 ? digits <= expected : digits === expected) return value;
    throw new InputError(`value "${short(values[0]!)}": ${digits} hex digits, expected ${what}`);
  }
  if (values.length !== count) throw new InputError(`${counted(values.length)}, expected ${what}`);
  const words = values.map((text, i) => {
    const { value, digits } = parseHex(text, `value ${i + 1}`);
    if (digits > word / 4) {
      throw new InputError(
        `value ${i + 1} "${short(text)}": ${digits} hex digits, expected at most ${word / 4}`,
      );
    }
    return value;
  });
  if (first === "low") words.reverse();
  return words.reduce((whole, value) => (whole << BigInt(word)) | value, 0n);
}

/** `1 value`, `3 values`. */
export function counted(count: number): string {
  return count === 1 ? "1 value" : `${count} values`;
}

function short(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
