import { decode } from "../../spec/codec.ts";
import { irteBytes as amdIrteBytes } from "../../spec/amdvi/irte.ts";
import { control as controlLayout } from "../../spec/amdvi/registers.ts";
import { irteBytes } from "../../spec/vtd/irte.ts";
import { textOf } from "../text/text-of.ts";
import { captureFolder } from "./capture-files.ts";
import type { Draft, HostDraft } from "./draft.ts";
import { fact } from "./fact.ts";
import { type FileReader, lineOf } from "./file-reader.ts";
import { deviceEntriesOf, entriesOf, vtdRegistersOf } from "./table-bytes.ts";
import { tableOfDte } from "./read-debugfs.ts";
import type { AmdviUnitState, VtdUnitState } from "./unit.ts";

const what = "raw tables of the capture";
const tableLimit = 1 << 20;
const deviceTableLimit = 2 << 20;

/** A VT-d table as the guest read it, else as the monitor did. */
const tableFiles = ["irt0.bin", "irt-node.bin", "pmemsave-irt.bin"];
const registerFiles = ["dmar0-regs.bin", "pmemsave-dmar-regs.bin"];
const deviceTableFile = "amd-devtab.bin";

/** Adds the tables and registers that lie beside a capture; it is of a machine with one unit. */
export function readCapture(files: FileReader, draft: HostDraft): void {
  const names = files.names(captureFolder);
  if (names.length === 0) return;
  for (const unit of draft.units) {
    if (unit.vendor === "intel") addVtd(files, unit);
    else addAmdvi(files, unit, names);
  }
}

function addVtd(files: FileReader, unit: Draft<VtdUnitState>): void {
  const registers = firstOf(files, registerFiles);
  if (registers !== undefined) {
    for (const [name, value] of vtdRegistersOf(registers.bytes)) {
      if (!unit.registers.has(name)) unit.registers.set(name, fact(value, { source: registers.name }));
    }
  }
  addProbe(files, unit, vtdProbeNames);
  const { base } = readNodeProbe(files, unit);
  const table = firstOf(files, tableFiles);
  if (table !== undefined) {
    unit.table ??= fact(
      {
        base,
        length: Math.floor(table.bytes.length / irteBytes),
        width: 128,
        entries: entriesOf(table.bytes, irteBytes),
        complete: true,
      },
      { source: table.name },
    );
  }
}

function firstOf(
  files: FileReader,
  names: readonly string[],
): { name: string; bytes: Uint8Array } | undefined {
  for (const name of names) {
    const bytes = files.bytes(`${captureFolder}/${name}`, what, tableLimit);
    if (bytes !== undefined) return { name, bytes };
  }
  return undefined;
}

const vtdProbeNames = new Map(
  ["VER", "CAP", "ECAP", "GSTS", "RTADDR", "FSTS", "FECTL", "IQH", "IQT", "IQA", "ICS", "IRTA"].map(
    (name) => [name, name] as const,
  ),
);
const amdviProbeNames = new Map([
  ["DTBASE", "DEV_TAB_BASE"],
  ["CMDBASE", "CMD_BUF_BASE"],
  ["EVTBASE", "EVT_LOG_BASE"],
  ["CTRL", "CONTROL"],
  ["EFR", "EFR"],
  ["STATUS", "STATUS"],
]);

/** The line in which the lab's probe printed the registers that it read: names and values, one behind the other. */
function addProbe(
  files: FileReader,
  unit: Draft<VtdUnitState> | Draft<AmdviUnitState>,
  names: ReadonlyMap<string, string>,
): void {
  const source = "irprobe.txt";
  const rows = textOf(files.bytes(`${captureFolder}/${source}`, what) ?? new Uint8Array()).split("\n");
  const row = rows.findIndex((line) => /^(?:VER|DTBASE) [0-9a-f]{8,16} [A-Z]/.test(line));
  if (row < 0) return;
  for (const [, name, digits] of rows[row]!.matchAll(/\b([A-Z]{2,8}) ([0-9a-f]{1,16})\b/g)) {
    const register = names.get(name!);
    if (register === undefined || unit.registers.has(register)) continue;
    unit.registers.set(register, fact(BigInt(`0x${digits}`), lineOf(source, row + 1)));
  }
}

/** What the lab's other probe read through the kernel's structures: where the table was, and the kernel's copy of GCMD. */
function readNodeProbe(files: FileReader, unit: Draft<VtdUnitState>): { base: bigint | null } {
  const source = "nodeprobe.txt";
  const text = textOf(files.bytes(`${captureFolder}/${source}`, what) ?? new Uint8Array());
  const base = /^IRT va [0-9a-f]{1,16} pa ([0-9a-f]{1,16})\s*$/m.exec(text)?.[1];
  const command = /^drhd .{1,120} gcmd ([0-9a-f]{1,8})\b/m.exec(text)?.[1];
  if (command !== undefined) unit.command ??= fact(Number.parseInt(command, 16), { source });
  return { base: base === undefined ? null : BigInt(`0x${base}`) };
}

function addAmdvi(files: FileReader, unit: Draft<AmdviUnitState>, names: readonly string[]): void {
  addProbe(files, unit, amdviProbeNames);
  const bytes = files.bytes(`${captureFolder}/${deviceTableFile}`, what, deviceTableLimit);
  if (bytes !== undefined) unit.devices ??= fact(deviceEntriesOf(bytes), { source: deviceTableFile });
  const control = unit.registers.get("CONTROL");
  if (control === undefined) return;
  const wide = decode(controlLayout, control.value).gaen === 1;
  const entryBytes = wide ? amdIrteBytes.ga : amdIrteBytes.legacy;
  for (const name of names) {
    const id = /^amd-irt-([0-9a-f]{4})\.bin$/.exec(name)?.[1];
    const table = id === undefined ? undefined : files.bytes(`${captureFolder}/${name}`, what, tableLimit);
    if (id === undefined || table === undefined) continue;
    const requester = Number.parseInt(id, 16);
    if (unit.tables.has(requester)) continue;
    const dte = unit.devices?.value.get(requester);
    const { base, length } = dte === undefined ? { base: null, length: null } : tableOfDte(dte);
    unit.tables.set(
      requester,
      fact(
        {
          base,
          length,
          width: wide ? 128 : 32,
          entries: entriesOf(table, entryBytes),
          // A capture has the first page of each table.
          complete: length !== null && table.length >= length * entryBytes,
        },
        { source: name },
      ),
    );
  }
}
