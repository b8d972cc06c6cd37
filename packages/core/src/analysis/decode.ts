import { InputError } from "../evidence/input-error.ts";
import { type Naming, type Row, hex, table, validate } from "../spec/codec.ts";
import type { Context, Layout } from "../spec/layout.ts";
import type { RuleId } from "../spec/rules.ts";
import type { Section } from "../spec/cite.ts";
import { type DecodeKind, decodeKinds } from "./decode-kinds.ts";
import type { DecodedRow, FieldValue, Part, Reading } from "./decode-shape.ts";

export type { DecodeKind, DecodedRow, FieldValue, Part, Reading };

export interface DecodeOptions extends Context {
  /** Names of fields: the specification's (default), or those of Linux's structures where it has any. */
  readonly names?: Naming;
}

/** A rule that the value breaks. */
export interface DecodedViolation {
  readonly rule: RuleId;
  readonly section: Section;
  /** What was found, in one clause. */
  readonly found: string;
  /** The setting under which it is broken, as `EIME=0`; null when it is broken under every setting, or under the given ones. */
  readonly when: string | null;
}

export interface Decoded {
  readonly kind: DecodeKind;
  /** Which of the kind's forms it is (`remapped`, `posted`, `compatibility` …); null where there is one only. */
  readonly mode: string | null;
  readonly title: string;
  readonly section: Section;
  /** By the field's name, in the order of its bits. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly rows: readonly DecodedRow[];
  readonly violations: readonly DecodedViolation[];
  readonly readings: readonly Reading[];
  /** What follows from the fields, in sentences. */
  readonly notes: readonly string[];
}

/** The kinds that `decodeKind` knows. */
export function kindNames(): DecodeKind[] {
  return Object.keys(decodeKinds) as DecodeKind[];
}

/**
 * Decodes a value, given in hexadecimal.
 * @throws InputError when the kind is unknown, or the values are not what it takes.
 */
export function decodeKind(kind: string, values: readonly string[], options: DecodeOptions = {}): Decoded {
  const known = knownKind(kind);
  const { names = "spec", ...context } = options;
  const shape = decodeKinds[known].read(values, context);
  const rows = [...shape.parts.flatMap((part) => rowsOf(part, names)), ...(shape.derived ?? [])];
  const violations =
    shape.violations ?? shape.parts.flatMap(({ layout, value }) => validate(layout, value, context));
  const [first] = shape.parts;
  return {
    kind: known,
    mode: shape.mode,
    title: first!.layout.title,
    section: first!.layout.section,
    fields: Object.fromEntries(rows.map(({ name, value }) => [name, value])),
    rows,
    violations: violations.map(({ rule, section, found, when = null }) => ({ rule, section, found, when })),
    readings: shape.readings ?? [],
    notes: shape.notes ?? [],
  };
}

function knownKind(kind: string): DecodeKind {
  if (Object.hasOwn(decodeKinds, kind)) return kind as DecodeKind;
  throw new InputError(`unknown kind "${kind.slice(0, 40)}", expected one of ${kindNames().join(", ")}`);
}

/**
 * The layouts that a value has, and the bits that each of them describes.
 * @throws InputError as {@link decodeKind}.
 */
export function partsOf(kind: string, values: readonly string[], context: Context = {}): readonly Part[] {
  return decodeKinds[knownKind(kind)].read(values, context).parts;
}

/** What a kind takes, in words. */
export function takenBy(kind: DecodeKind): string {
  return decodeKinds[kind].takes;
}

/** The body of the JSON document: `fields` have the names that were asked for. */
export function decodeDocument(decoded: Decoded, names: Naming): object {
  const { kind, mode, title, section, fields, violations, readings, notes } = decoded;
  return { kind, mode, title, section, names, fields, violations, readings, notes };
}

function rowsOf({ layout, value, label }: Part, names: Naming): DecodedRow[] {
  const rows = table(layout, value, names).flatMap((row) => splitLinuxNames(layout, value, row));
  return rows.map(({ bits, name, title, value, meaning }) => {
    const row = {
      bits: label === undefined ? bits : `${label} ${bits}`,
      name,
      title,
      value: printable(value),
    };
    return meaning === undefined ? row : Object.assign(row, { meaning });
  });
}

/** Linux keeps a scattered field in several members, `pda_l,pda_h`: each becomes a row with its own bits. */
function splitLinuxNames(layout: Layout, value: bigint, row: Row): Row[] {
  if (!row.name.includes(",")) return [row];
  const field = Object.values(layout.fields).find(({ linux }) => linux === row.name)!;
  return row.name.split(",").map((name, i) => {
    const [high, low] = field.parts[i]!;
    const content = (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
    return { bits: `${high}:${low}`, name, title: field.title, value: Number(content) };
  });
}

/** How a field's value is reported. */
function printable(value: number | bigint): FieldValue {
  return typeof value === "number" ? value : hex(value);
}
