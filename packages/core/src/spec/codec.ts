import type { Section } from "./cite.ts";
import { type BitRange, type Condition, type Context, type Field, type Layout } from "./layout.ts";
import { fieldsOf, maskOf, reservedMask } from "./layout.ts";
import { type RuleId, ruleOf } from "./rules.ts";

/** A field's value: a number as long as it is exact, a bigint past 2^53. */
export type Value = number | bigint;

export type Values<Name extends string> = { readonly [K in Name]: Value };

/** A rule that a value breaks; `when` names the setting on which that depends, if it was not given. */
export interface Violation {
  readonly rule: RuleId;
  readonly section: Section;
  /** What was found, in one clause. */
  readonly found: string;
  readonly when?: string;
}

/** One row of the printable table. */
export interface Row {
  readonly bits: string;
  readonly name: string;
  readonly title: string;
  readonly value: Value;
  readonly meaning?: string;
}

export type Naming = "spec" | "linux";

/** Reads every field of a value. */
export function decode<Name extends string>(layout: Layout<Name>, value: bigint): Values<Name> {
  const values: Partial<Record<Name, Value>> = {};
  for (const [name, field] of fieldsOf(layout)) values[name] = exact(extract(field, value));
  return values as Values<Name>;
}

/**
 * Puts fields together; the ones that are not named are zero.
 * @throws RangeError when a value does not fit its field, or is not a multiple of its scale.
 */
export function encode<Name extends string>(layout: Layout<Name>, values: Partial<Values<Name>>): bigint {
  let word = 0n;
  for (const [name, value] of Object.entries(values) as [Name, Value][]) {
    const field = layout.fields[name];
    const { pieces, end, loose } = piecesOf(field);
    const whole = BigInt(value);
    if (whole < 0n || whole >= end || (whole & loose) !== 0n) {
      throw new RangeError(`${layout.name}.${name}: ${hex(whole)} does not fit bits ${printParts(field)}`);
    }
    for (const { low, mask, shift } of pieces) word |= ((whole >> shift) & mask) << low;
  }
  return word;
}

/** Holds a value against its layout. What depends on a setting that `context` leaves open is reported with `when`. */
export function validate<Name extends string>(
  layout: Layout<Name>,
  value: bigint,
  context: Context = {},
): Violation[] {
  const violations: Violation[] = [];
  const report = (rule: RuleId, found: string, condition: Condition = {}): void => {
    const open = openSettings(condition, context);
    if (open === undefined) return;
    const { section } = ruleOf(rule);
    violations.push(open === "" ? { rule, section, found } : { rule, section, found, when: open });
  };

  const stray = value & reservedMask(layout);
  if (layout.reserved !== undefined && stray) report(layout.reserved, `reserved ${printBits(stray)} set`);

  for (const [name, field] of fieldsOf(layout)) {
    for (const { bits, when, rule } of field.reservedWhen ?? []) {
      const set = value & maskOf(bits);
      if (set) report(rule, `${name}: ${printBits(set)} set`, when);
    }
    const content = extract(field, value);
    const { illegal } = field;
    if (illegal?.values.includes(Number(content))) report(illegal.rule, `${name} = ${hex(content)}`);
    if (field.bounded !== undefined && context.haw !== undefined && content >> BigInt(context.haw)) {
      report(field.bounded, `${name} = ${hex(content)} lies at or above 2^${context.haw}`);
    }
  }

  for (const { rule, given, requires, when } of layout.constraints ?? []) {
    const broken = violated(layout, value, requires);
    if (violated(layout, value, given) === undefined && broken !== undefined) report(rule, broken, when);
  }
  return violations;
}

/** The table that `decode` prints, most significant field last, as the documents list them. */
export function table<Name extends string>(
  layout: Layout<Name>,
  value: bigint,
  naming: Naming = "spec",
): Row[] {
  const rows: Row[] = [];
  for (const [name, field] of fieldsOf(layout)) {
    const content = exact(extract(field, value));
    const row = {
      bits: printParts(field),
      name: naming === "linux" ? (field.linux ?? name) : name,
      title: field.title,
      value: content,
    };
    const meaning = typeof content === "number" ? field.values?.[content] : undefined;
    rows.push(meaning === undefined ? row : { ...row, meaning });
  }
  return rows;
}

/** Little-endian 32-bit words of a value, as the hardware's state holds them. */
export function toWords(value: bigint, width: number): Int32Array {
  const words = new Int32Array(width / 32);
  for (let i = 0; i < words.length; i++) words[i] = Number(BigInt.asIntN(32, value >> BigInt(32 * i)));
  return words;
}

/** The value of `width` bits that starts at word `at`. */
export function fromWords(words: Int32Array, at: number, width: number): bigint {
  let value = 0n;
  for (let i = width / 32 - 1; i >= 0; i--) value = (value << 32n) | BigInt(words[at + i]! >>> 0);
  return value;
}

export function hex(value: Value): string {
  return `0x${value.toString(16)}`;
}

/** A part of a field: where it stands, which bits of it count, and where they belong in the field's value. */
interface Piece {
  readonly low: bigint;
  readonly mask: bigint;
  readonly shift: bigint;
}

interface Pieces {
  readonly pieces: readonly Piece[];
  /** One past the largest value. */
  readonly end: bigint;
  /** The bits of a value that its scale leaves out. */
  readonly loose: bigint;
}

const knownPieces = new WeakMap<Field, Pieces>();

function piecesOf(field: Field): Pieces {
  let known = knownPieces.get(field);
  if (known === undefined) knownPieces.set(field, (known = cut(field)));
  return known;
}

function cut(field: Field): Pieces {
  const scale = BigInt(field.scale ?? 0);
  let shift = scale;
  const pieces = field.parts.map(([high, low]) => {
    const piece = { low: BigInt(low), mask: maskOf([high - low, 0]), shift };
    shift += BigInt(high - low + 1);
    return piece;
  });
  return { pieces, end: 1n << shift, loose: (1n << scale) - 1n };
}

function extract(field: Field, value: bigint): bigint {
  let content = 0n;
  for (const { low, mask, shift } of piecesOf(field).pieces) content |= ((value >> low) & mask) << shift;
  return content;
}

const largestExact = BigInt(Number.MAX_SAFE_INTEGER);

function exact(content: bigint): Value {
  return content <= largestExact ? Number(content) : content;
}

/** Undefined when a given setting rules the condition out; else the settings that are left open, as text. */
function openSettings(condition: Condition, context: Context): string | undefined {
  const open: string[] = [];
  for (const [setting, wanted] of Object.entries(condition) as [keyof Condition, 0 | 1][]) {
    const given = context[setting];
    if (given === undefined) open.push(`${settingNames[setting]}=${wanted}`);
    else if (given !== wanted) return undefined;
  }
  return open.join(", ");
}

const settingNames: Readonly<Record<keyof Condition, string>> = {
  eime: "EIME",
  pi: "PI",
  gaen: "GAEn",
  xten: "XTEn",
};

/** The first field that holds none of its listed values, as text; undefined when all of them match. */
function violated<Name extends string>(
  layout: Layout<Name>,
  value: bigint,
  lists: { readonly [K in Name]?: readonly number[] },
): string | undefined {
  for (const [name, allowed] of Object.entries(lists) as [Name, readonly number[]][]) {
    const content = extract(layout.fields[name], value);
    if (!allowed.some((one) => BigInt(one) === content)) return `${name} = ${hex(content)}`;
  }
  return undefined;
}

function printParts(field: Field): string {
  return [...field.parts].reverse().map(printRange).join(",");
}

function printRange([high, low]: BitRange): string {
  return high === low ? `${high}` : `${high}:${low}`;
}

/** Set bits as ranges, highest first, with the verb that goes with them: `bits 63:48,12 are`. */
function printBits(mask: bigint): string {
  const ranges: string[] = [];
  for (let high = mask.toString(2).length - 1; high >= 0; high--) {
    if (!((mask >> BigInt(high)) & 1n)) continue;
    let low = high;
    while (low > 0 && (mask >> BigInt(low - 1)) & 1n) low--;
    ranges.push(printRange([high, low]));
    high = low;
  }
  const single = (mask & (mask - 1n)) === 0n;
  return single ? `bit ${ranges.join()} is` : `bits ${ranges.join()} are`;
}
