import type { TableFinding } from "../evidence/acpi-table.ts";
import { readDmar } from "../evidence/dmar.ts";
import { InputError } from "../evidence/input-error.ts";
import { readIvrs } from "../evidence/ivrs.ts";
import { dmarHeader } from "../spec/acpi/dmar.ts";
import { ivrsHeader } from "../spec/acpi/ivrs.ts";
import type { Section } from "../spec/cite.ts";
import type { DecodedViolation } from "./decode.ts";

/** The firmware tables that can be decoded. */
export type TableKind = "dmar" | "ivrs";

/** What a table holds: numbers, `0x…` past 2^53, text, flags, and lists of its structures. */
export type TableValue =
  | number
  | string
  | boolean
  | readonly TableValue[]
  | { readonly [name: string]: TableValue };

export interface DecodedTable {
  readonly kind: TableKind;
  readonly mode: null;
  readonly title: string;
  readonly section: Section;
  /** By name in lower case; `structures` (DMAR) or `blocks` (IVRS) in the order of the table. */
  readonly fields: Readonly<Record<string, TableValue>>;
  /** `offset` in bytes from the table's start. */
  readonly violations: readonly (DecodedViolation & { readonly offset: number })[];
}

const readers = {
  dmar: { read: readDmar, layout: dmarHeader },
  ivrs: { read: readIvrs, layout: ivrsHeader },
} as const;

export function isTableKind(kind: string): kind is TableKind {
  return Object.hasOwn(readers, kind);
}

/**
 * Decodes a DMAR or IVRS table.
 * @throws InputError when the bytes are no such table.
 */
export function decodeTable(kind: TableKind, bytes: Uint8Array): DecodedTable {
  const { read, layout } = readers[kind];
  let table: { readonly header: object; readonly findings: readonly TableFinding[] };
  try {
    table = read(bytes);
  } catch (error) {
    throw new InputError((error as Error).message);
  }
  const { header, findings, ...rest } = table;
  return {
    kind,
    mode: null,
    title: layout.title,
    section: layout.section,
    fields: plain({ ...header, ...rest }) as Record<string, TableValue>,
    violations: findings.map(({ rule, section, found, when = null, offset }) => ({
      rule,
      section,
      found,
      when,
      offset,
    })),
  };
}

/** What a reader yields, as JSON can hold it and with names in lower case. Readers yield nothing that is circular. */
function plain(value: unknown): TableValue {
  if (typeof value === "bigint")
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `0x${value.toString(16)}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value as number | string | boolean;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.map(([name, one]) => [name.toLowerCase(), plain(one)]));
}
