import type { Section } from "./cite.ts";
import type { RuleId } from "./rules.ts";

/** A contiguous run of bits, both ends included, numbered as the document numbers them. */
export type BitRange = readonly [high: number, low: number];

/** Settings of the machine on which legality depends. */
export interface Context {
  /** IRTA.EIME: destinations are 32-bit x2APIC ids. */
  readonly eime?: 0 | 1;
  /** CAP.PI: the unit can post interrupts. */
  readonly pi?: 0 | 1;
  /** AMD Control.GAEn: 128-bit IRTEs. */
  readonly gaen?: 0 | 1;
  /** AMD Control.XTEn: destinations are 32-bit x2APIC ids. */
  readonly xten?: 0 | 1;
  /** Host address width in bits: address bits at and above it are reserved. */
  readonly haw?: number;
}

/** The settings under which something holds; all of them must match. */
export type Condition = { readonly [K in Exclude<keyof Context, "haw">]?: 0 | 1 };

export interface ReservedWhen {
  readonly bits: BitRange;
  readonly when: Condition;
  readonly rule: RuleId;
}

export interface Field {
  /** Where the value lies, its least significant part first. */
  readonly parts: readonly BitRange[];
  readonly title: string;
  /** Where the document describes it, if not in the layout's own section. */
  readonly section?: Section;
  /** The name in Linux's `struct irte` and friends. */
  readonly linux?: string;
  /** What single values mean. */
  readonly values?: Readonly<Record<number, string>>;
  /** Values that software must not program, and the rule that says so. */
  readonly illegal?: { readonly values: readonly number[]; readonly rule: RuleId };
  /** Bits of the field that are reserved under a setting. */
  readonly reservedWhen?: readonly ReservedWhen[];
  /** The field holds an address without its low bits: the value shown is shifted left by this. */
  readonly scale?: number;
  /** The rule that an address at or above 2^HAW breaks. */
  readonly bounded?: RuleId;
}

/** Fields whose values exclude one another: where every `given` holds, every `requires` shall. */
export interface Constraint<Name extends string> {
  readonly rule: RuleId;
  readonly given: { readonly [K in Name]?: readonly number[] };
  readonly requires: { readonly [K in Name]?: readonly number[] };
  readonly when?: Condition;
}

export interface Layout<Name extends string = string> {
  /** Kebab-case and unique: the name of the generated accessor file. */
  readonly name: string;
  readonly title: string;
  /** In bits; a multiple of 8. */
  readonly width: number;
  readonly section: Section;
  readonly fields: Readonly<Record<Name, Field>>;
  /** The rule that a set bit outside every field breaks; without it such bits are ignored. */
  readonly reserved?: RuleId;
  readonly constraints?: readonly Constraint<Name>[];
}

type FieldOptions = Omit<Field, "parts" | "title">;

export function bit(position: number, title: string, options: FieldOptions = {}): Field {
  return bits(position, position, title, options);
}

export function bits(high: number, low: number, title: string, options: FieldOptions = {}): Field {
  return { parts: [[high, low]], title, ...options };
}

/** A field whose value is scattered; the least significant part comes first. */
export function scattered(parts: readonly BitRange[], title: string, options: FieldOptions = {}): Field {
  return { parts, title, ...options };
}

/**
 * Declares a layout.
 * @throws RangeError when two fields claim one bit, or a field leaves the layout's width.
 */
export function layout<Name extends string>(declaration: Layout<Name>): Layout<Name> {
  let claimed = 0n;
  for (const [name, field] of fieldsOf(declaration)) {
    for (const range of field.parts) {
      const [high, low] = range;
      if (high < low || low < 0 || high >= declaration.width) {
        throw new RangeError(
          `${declaration.name}.${name}: bits ${high}:${low} do not lie in ${declaration.width} bits`,
        );
      }
      const mask = maskOf(range);
      if (claimed & mask)
        throw new RangeError(`${declaration.name}.${name}: bits ${high}:${low} are claimed twice`);
      claimed |= mask;
    }
  }
  return declaration;
}

const knownFields = new WeakMap<Layout, readonly (readonly [string, Field])[]>();

/** Names and fields in the order of their declaration. */
export function fieldsOf<Name extends string>(layout: Layout<Name>): readonly (readonly [Name, Field])[] {
  let fields = knownFields.get(layout);
  if (fields === undefined) knownFields.set(layout, (fields = Object.entries(layout.fields)));
  return fields as readonly (readonly [Name, Field])[];
}

export function maskOf([high, low]: BitRange): bigint {
  return ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

/** Width of a field's value in bits, without its scale. */
export function widthOf(field: Field): number {
  return field.parts.reduce((width, [high, low]) => width + high - low + 1, 0);
}

const knownReserved = new WeakMap<Layout, bigint>();

/** The bits that no field claims. */
export function reservedMask(layout: Layout): bigint {
  let mask = knownReserved.get(layout);
  if (mask === undefined) knownReserved.set(layout, (mask = unclaimed(layout)));
  return mask;
}

function unclaimed(layout: Layout): bigint {
  let mask = maskOf([layout.width - 1, 0]);
  for (const [, field] of fieldsOf(layout)) for (const part of field.parts) mask &= ~maskOf(part);
  return mask;
}
