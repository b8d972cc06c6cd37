import {
  type HostMap,
  type MapColumnName,
  type MapRow,
  type Missing,
  type NameStyle,
  defaultMapColumns,
  mapColumns,
} from "@intremap/core";
import { type Paint, count, table, wrap } from "./output.ts";

/** The widest line of the table with its default columns; the handlers' names give way. */
const lineWidth = 120;

/** What `map` prints for people. */
export function reportMap(
  map: HostMap,
  rows: readonly MapRow[],
  names: readonly MapColumnName[] | undefined,
  style: NameStyle,
  paint: Paint,
): string {
  const parts = [
    rows.length === 0
      ? "no interrupt\n"
      : rowTable(rows, names ?? defaultMapColumns, names === undefined, style, paint),
    "\n",
    totals(map),
    reportMissing(map.missing, paint),
  ];
  return parts.join("");
}

function rowTable(
  rows: readonly MapRow[],
  names: readonly MapColumnName[],
  fit: boolean,
  style: NameStyle,
  paint: Paint,
): string {
  const cells = rows.map((row) => names.map((name) => oneLine(mapColumns[name].cell(row, style))));
  const at = names.indexOf("name");
  if (fit && at >= 0) {
    const widths = names.map((name, column) =>
      cells.reduce((width, row) => Math.max(width, row[column]!.length), mapColumns[name].title.length),
    );
    const others = widths.reduce((sum, width) => sum + width + 2, -2) - widths[at]!;
    const room = Math.max(12, lineWidth - others);
    for (const row of cells) if (row[at]!.length > room) row[at] = `${row[at]!.slice(0, room - 1)}…`;
  }
  return table(
    names.map((name) => mapColumns[name].title),
    cells,
    paint,
  );
}

/** Names come from the machine: nothing in them may steer the terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?");
}

function totals({ totals: sums, budgets, interrupts }: HostMap): string {
  const lines: [string, string][] = [];
  const { entries, remapped, posted, reserved, irqs, unremapped } = sums;
  lines.push([
    "entries",
    entries === 0
      ? "none is known"
      : `${count(entries)} present: ${count(remapped)} remapped, ${count(posted)} posted` +
        (reserved === 0 ? "" : `; ${count(reserved)} of them not requested`),
  ]);
  if (interrupts.some(({ irq }) => irq !== null)) {
    lines.push(["irqs", `${count(irqs)} in use, ${count(unremapped)} of them not remapped`]);
  }
  for (const line of tableLines(budgets.tables)) lines.push(["tables", line]);
  const vectors = vectorLine(budgets.processors);
  if (vectors !== undefined) lines.push(["vectors", vectors]);
  for (const kind of ["msix", "msi"] as const) {
    const of = budgets.devices.filter((one) => one.kind === kind && one.used > 0);
    if (of.length === 0) continue;
    const [used, available] = [sum(of, "used"), sum(of, "available")];
    const devices = of.length === 1 ? "1 function" : `${of.length} functions`;
    lines.push([
      kind === "msix" ? "MSI-X" : "MSI",
      `${count(used)} of ${count(available)} vectors of ${devices}`,
    ]);
  }
  for (const { machine, command, vcpus, posted: direct, remapped: rest } of budgets.machines) {
    const name = command === null ? machine : `${machine} (${oneLine(command)})`;
    const others = rest === null ? "" : `, ${count(rest)} through the host`;
    lines.push([
      "vm",
      `${name}: ${vcpus === 1 ? "1 vCPU" : `${vcpus} vCPUs`}, ${count(direct)} posted${others}`,
    ]);
  }
  return lines.map(([title, text]) => `${title.padEnd(8)} ${text}\n`).join("");
}

function sum<Key extends string>(list: readonly Readonly<Record<Key, number>>[], key: Key): number {
  return list.reduce((total, one) => total + one[key], 0);
}

function tableLines(tables: HostMap["budgets"]["tables"]): string[] {
  const lines: string[] = [];
  const units = new Set(tables.map(({ unit }) => unit));
  for (const unit of units) {
    const own = tables.filter((one) => one.unit === unit);
    const used = sum(own, "used");
    const least = own.some(({ complete }) => !complete) ? "at least " : "";
    const sizes = own.every(({ size }) => size !== null)
      ? count(own.reduce((all, { size }) => all + size!, 0))
      : "?";
    const whose = own.length === 1 && own[0]!.requesters === null ? "" : `, in ${count(own.length)} tables`;
    const given = own.every(({ allocated }) => allocated !== null)
      ? `, ${count(own.reduce((all, { allocated }) => all + allocated!, 0))} given away`
      : "";
    lines.push(`${unit}: ${least}${count(used)} of ${sizes} entries present${given}${whose}`);
  }
  return lines;
}

function vectorLine(processors: HostMap["budgets"]["processors"]): string | undefined {
  if (processors.length === 0) return undefined;
  const most = processors.reduce((a, b) => (b.used > a.used ? b : a));
  const least = processors.reduce((a, b) => (b.used < a.used ? b : a));
  const { available } = most;
  const of = available === null ? "" : ` of ${count(available)}`;
  const cpus = processors.length === 1 ? "1 CPU" : `${processors.length} CPUs`;
  const spread = least.used === most.used ? count(most.used) : `${count(least.used)} to ${count(most.used)}`;
  const by = most.by === "counted" ? ", counted in this table" : "";
  const where = least.used === most.used ? "" : ` (most on CPU ${most.cpu})`;
  return `${spread}${of} on each of ${cpus}${where}${by}`;
}

/** What a source lacks, one a paragraph. */
export function reportMissing(missing: readonly Missing[], paint: Paint): string {
  if (missing.length === 0) return "";
  const lines = missing.map(({ what, why, needs }) => {
    const text = oneLine(`${what}: ${why}${needs === null ? "" : `; needs ${needs}`}`);
    return `  ${wrap(text, "    ")}\n`;
  });
  return `${paint("yellow", "not known")}\n${lines.join("")}`;
}
