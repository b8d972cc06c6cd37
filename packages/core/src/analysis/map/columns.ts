import { InputError } from "../../evidence/input-error.ts";
import type { MapRow } from "./row.ts";

/** How functions are written: with their segment only where there is more than segment 0. */
export interface NameStyle {
  readonly segments: boolean;
}

/** A column of the map. */
export interface MapColumn {
  readonly title: string;
  /** What it holds, in a few words. */
  readonly what: string;
  readonly cell: (row: MapRow, style: NameStyle) => string;
  /** What rows are sorted by, where that is not the cell. */
  readonly key?: (row: MapRow) => number | null;
}

const columnNames = [
  "device",
  "input",
  "driver",
  "kind",
  "irq",
  "name",
  "chip",
  "unit",
  "index",
  "requester",
  "mode",
  "vector",
  "delivery",
  "to",
  "destination",
  "cpus",
  "machine",
  "vcpu",
  "descriptor",
  "message",
  "total",
  "state",
  "source",
  "entry",
  "origin",
] as const;

/** As `-o` names it. */
export type MapColumnName = (typeof columnNames)[number];

function plain(value: string | number | null): string {
  return value === null ? "" : `${value}`;
}

function hexByte(value: number | null): string {
  return value === null ? "" : `0x${value.toString(16).padStart(2, "0")}`;
}

function device(name: string | null, { segments }: NameStyle): string {
  return segments || name === null ? plain(name) : name.replace(/^0000:(?=..:)/, "");
}

/** Numbers in ascending order, runs as `0-3`. */
function runs(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length;) {
    let end = i;
    while (numbers[end + 1] === numbers[end]! + 1) end++;
    parts.push(end === i ? `${numbers[i]}` : `${numbers[i]}-${numbers[end]}`);
    i = end + 1;
  }
  return parts.join(",");
}

/** The device, or whom the entry admits where it is not one device. */
function deviceCell({ device: name, requester, source, index }: MapRow, style: NameStyle): string {
  if (name !== null || index === null) return device(name, style);
  if (source?.svt === 0) return "(any)";
  if (source?.svt !== 2) return requester === null ? "" : `(${device(requester, style)})`;
  const buses = source.sid.slice(2).padStart(4, "0");
  const [from, to] = [buses.slice(0, 2), buses.slice(2)];
  return from === to ? `(bus ${from})` : `(buses ${from}-${to})`;
}

function target({ machine, vcpu, processors, destination, logical, mode, descriptor }: MapRow): string {
  if (vcpu !== null) return `vm ${machine} vcpu ${vcpu}`;
  if (processors !== null && processors.length > 0) return `cpu ${runs(processors)}`;
  if (descriptor !== null) return `?${descriptor}`;
  if (destination !== null && mode !== null) {
    return `${logical === true ? "logical" : "apic"} 0x${destination.toString(16)}`;
  }
  return "";
}

/** Every column, in the order in which they are offered. */
export const mapColumns: Readonly<Record<MapColumnName, MapColumn>> = {
  device: {
    title: "device",
    what: "function, IOAPIC, HPET or unit; in brackets whom the entry admits",
    cell: deviceCell,
  },
  input: {
    title: "#",
    what: "vector of the device, or pin",
    cell: (row) => plain(row.input),
    key: (row) => row.input,
  },
  driver: { title: "driver", what: "of the function", cell: (row) => plain(row.driver) },
  kind: { title: "kind", what: "msi, msix, ioapic, hpet, unit", cell: (row) => plain(row.kind) },
  irq: { title: "irq", what: "Linux's number", cell: (row) => plain(row.irq), key: (row) => row.irq },
  name: { title: "name", what: "its handlers", cell: (row) => plain(row.name) },
  chip: { title: "chip", what: "of its outermost domain", cell: (row) => plain(row.chip) },
  unit: { title: "unit", what: "that remaps it", cell: (row) => plain(row.unit) },
  index: {
    title: "index",
    what: "of the entry; in brackets one that is not present or not shown",
    cell: ({ index, allocated }) => (index ?? (allocated === null ? "" : `(${allocated})`)).toString(),
    key: ({ index, allocated }) => index ?? allocated,
  },
  requester: {
    title: "requester",
    what: "whom the entry admits, or whose table it is in",
    cell: (row, style) => device(row.requester, style),
  },
  mode: { title: "mode", what: "remapped, posted, guest, unremapped", cell: (row) => plain(row.mode) },
  vector: {
    title: "vector",
    what: "the host's or the guest's",
    cell: (row) => hexByte(row.vector),
    key: (row) => row.vector,
  },
  delivery: { title: "delivery", what: "fixed, NMI and the like", cell: (row) => plain(row.delivery) },
  to: { title: "to", what: "processors, or VM and vCPU", cell: target },
  destination: {
    title: "destination",
    what: "APIC id or logical destination",
    cell: ({ destination, logical }) =>
      destination === null ? "" : `0x${destination.toString(16)}${logical === true ? " logical" : ""}`,
    key: (row) => row.destination,
  },
  cpus: { title: "cpus", what: "processors", cell: (row) => runs(row.processors ?? []) },
  machine: { title: "vm", what: "virtual machine", cell: (row) => plain(row.machine) },
  vcpu: { title: "vcpu", what: "of the machine", cell: (row) => plain(row.vcpu), key: (row) => row.vcpu },
  descriptor: {
    title: "descriptor",
    what: "posted descriptor or vAPIC page",
    cell: (row) => plain(row.descriptor),
  },
  message: {
    title: "message",
    what: "address/data",
    cell: ({ message }) => (message === null ? "" : `${message.address}/${message.data}`),
  },
  total: {
    title: "total",
    what: "how often it came",
    cell: (row) => plain(row.total),
    key: (row) => row.total,
  },
  state: { title: "state", what: "reserved, masked and the like", cell: (row) => plain(row.state) },
  source: {
    title: "source",
    what: "VT-d's SID, SQ and SVT",
    cell: ({ source }) => (source === null ? "" : `${source.sid} sq ${source.sq} svt ${source.svt}`),
  },
  entry: { title: "entry", what: "the whole entry", cell: (row) => plain(row.value) },
  origin: {
    title: "origin",
    what: "where it was read",
    cell: ({ origins }) => (origins.entry ?? origins.interrupt)?.source ?? "",
  },
};

/** What is shown unless columns are asked for. */
export const defaultMapColumns: readonly MapColumnName[] = [
  "device",
  "input",
  "irq",
  "name",
  "unit",
  "index",
  "mode",
  "vector",
  "to",
  "total",
  "state",
];

/** @throws InputError with the names of all columns when one is unknown. */
export function mapColumnNamed(name: string): MapColumnName {
  if (Object.hasOwn(mapColumns, name)) return name as MapColumnName;
  const all = columnNames.map((known) => `${known} (${mapColumns[known].what})`).join(", ");
  throw new InputError(`unknown column "${name.slice(0, 40)}", expected ${all}`);
}

/** How the functions of these rows are written. */
export function nameStyleOf(rows: readonly MapRow[]): NameStyle {
  return { segments: rows.some(({ device: name }) => /^(?!0000:)[0-9a-f]+:..:/.test(name ?? "")) };
}

/** Orders rows by a column, empty cells last; a minus before its name turns the order round. */
export function sortMapRows(rows: readonly MapRow[], by: string, style: NameStyle): MapRow[] {
  const down = by.startsWith("-");
  const column = mapColumns[mapColumnNamed(down ? by.slice(1) : by)];
  const key = column.key ?? ((row: MapRow) => column.cell(row, style) || null);
  return rows
    .map((row) => ({ row, at: key(row) }))
    .sort(({ at: a }, { at: b }) => {
      if (a === null || b === null) return Number(a === null) - Number(b === null);
      const order = a < b ? -1 : a > b ? 1 : 0;
      return down ? -order : order;
    })
    .map(({ row }) => row);
}
