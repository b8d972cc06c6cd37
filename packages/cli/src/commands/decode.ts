import {
  type DecodeOptions,
  type Decoded,
  type DecodedTable,
  InputError,
  type Naming,
  type TableKind,
  type TableValue,
  decodeDocument,
  decodeKind,
  decodeTable,
  isTableKind,
  kindNames,
} from "@intremap/core";
import { readBytes } from "../input.ts";
import { type Io, exitStatus } from "../io.ts";
import { type Paint, paintFor, table, writeJson } from "../output.ts";

/** What the command line gives: settings as text. */
export interface DecodeFlags {
  readonly names?: Naming;
  readonly eime?: "0" | "1";
  readonly pi?: "0" | "1";
  readonly xten?: "0" | "1";
  readonly json?: boolean;
}

/**
 * Prints the fields of a value and the rules it breaks.
 * @returns 1 when a rule is broken whatever the settings, else 0.
 * @throws InputError when kind or values are not usable.
 */
export async function decode(
  kind: string,
  values: readonly string[],
  flags: DecodeFlags,
  io: Io,
): Promise<number> {
  if (isTableKind(kind)) return decodeFile(kind, values, flags, io);
  const names = flags.names ?? "spec";
  if (!kindNames().includes(kind as Decoded["kind"])) {
    const kinds = [...kindNames(), "dmar", "ivrs"].join(", ");
    throw new InputError(`unknown kind "${kind.slice(0, 40)}", expected one of ${kinds}`);
  }
  const decoded = decodeKind(kind, values, { names, ...settingsOf(flags) });
  if (flags.json === true) writeJson(io, "decode", decodeDocument(decoded, names));
  else io.stdout.write(report(decoded, paintFor(io.stdout, io.env)));
  return statusOf(decoded.violations);
}

function statusOf(violations: Decoded["violations"]): number {
  return violations.some(({ when }) => when === null) ? exitStatus.findings : exitStatus.clean;
}

/** Bytes of the largest firmware table that is read. */
const tableLimit = 16 * 1024 * 1024;

async function decodeFile(
  kind: TableKind,
  files: readonly string[],
  flags: DecodeFlags,
  io: Io,
): Promise<number> {
  if (files.length !== 1) throw new InputError(`${files.length} values, expected one FILE`);
  const decoded = decodeTable(kind, await readBytes(files[0]!, io.stdin, tableLimit));
  if (flags.json === true) writeJson(io, "decode", decoded);
  else io.stdout.write(tableReport(decoded, paintFor(io.stdout, io.env)));
  return statusOf(decoded.violations);
}

function tableReport({ title, section, fields, violations }: DecodedTable, paint: Paint): string {
  const lines = [`${paint("bold", title)}, ${section}\n\n`];
  for (const [name, value] of Object.entries(fields)) {
    if (!Array.isArray(value)) lines.push(`${name.padEnd(20)}${printValue(value)}\n`);
    else for (const structure of value as TableValue[]) lines.push(...printStructure(structure, ""));
  }
  const broken = violations.map(({ offset, ...violation }) => ({
    ...violation,
    found: `offset 0x${offset.toString(16)}: ${violation.found}`,
  }));
  return [...lines, "\n", ...verdict(broken, paint)].join("");
}

function isList(value: TableValue): boolean {
  return Array.isArray(value) && typeof value[0] === "object";
}

/** A structure on one line, and the lists in it on lines below. */
function printStructure(value: TableValue, indent: string): string[] {
  const entries = Object.entries(value as Record<string, TableValue>);
  const flat = entries.filter(([, one]) => !isList(one)).map(([name, one]) => `${name} ${printValue(one)}`);
  const nested = entries
    .filter(([, one]) => isList(one))
    .flatMap(([, list]) => list as readonly TableValue[]);
  return [`${indent}${flat.join(", ")}\n`, ...nested.flatMap((one) => printStructure(one, `${indent}    `))];
}

function printValue(value: TableValue): string {
  if (typeof value === "number") return printNumber(value);
  return typeof value === "object" ? JSON.stringify(value) : `${value}`;
}

function settingsOf(flags: DecodeFlags): DecodeOptions {
  const settings: { -readonly [K in "eime" | "pi" | "xten"]?: 0 | 1 } = {};
  for (const name of ["eime", "pi", "xten"] as const) {
    const given = flags[name];
    if (given !== undefined) settings[name] = given === "1" ? 1 : 0;
  }
  return settings;
}

function report(decoded: Decoded, paint: Paint): string {
  const rows = decoded.rows.map(({ bits, name, title, value, meaning }) => [
    bits,
    name,
    typeof value === "number" ? printNumber(value) : value,
    meaning === undefined ? title : `${title}: ${meaning}`,
  ]);
  const mode = decoded.mode === null || decoded.title.includes(decoded.mode) ? "" : ` (${decoded.mode})`;
  const lines = [`${paint("bold", decoded.title)}${mode}, ${decoded.section}\n\n`];
  lines.push(table(["bits", "name", "value", "meaning"], rows, paint));
  if (decoded.notes.length > 0 || decoded.readings.length > 0) lines.push("\n");
  for (const note of decoded.notes) lines.push(`${note}\n`);
  for (const { as, fields } of decoded.readings) {
    const pairs = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
    lines.push(`read by ${as}: ${pairs.join(", ")}\n`);
  }
  lines.push("\n", ...verdict(decoded.violations, paint));
  return lines.join("");
}

function printNumber(value: number): string {
  return value < 10 ? `${value}` : `0x${value.toString(16)}`;
}

function verdict(violations: Decoded["violations"], paint: Paint): string[] {
  if (violations.length === 0) return [`${paint("green", "breaks no rule")}\n`];
  return violations.map(({ rule, section, found, when }) => {
    const condition = when === null ? "" : ` with ${when}`;
    return `${paint(when === null ? "red" : "yellow", `breaks ${rule}${condition}`)}: ${found} (${section})\n`;
  });
}
