import { decode } from "../../spec/codec.ts";
import { dte as dteLayout } from "../../spec/amdvi/dte.ts";
import { registers as amdviRegisters } from "../../spec/amdvi/registers.ts";
import { capability as capabilityLayout, registers as vtdRegisters } from "../../spec/vtd/registers.ts";
import { type AmdDebugfs, readAmdDebugfs } from "../text/amd-debugfs.ts";
import { type IntelDebugfsUnit, readIntelDebugfs } from "../text/intel-debugfs.ts";
import type { Draft, HostDraft } from "./draft.ts";
import { fact } from "./fact.ts";
import { type FileReader, lineOf } from "./file-reader.ts";
import type { AmdviUnitState, VtdUnitState } from "./unit.ts";

const folder = "sys/kernel/debug/iommu";
const what = "debugfs of the remapping units";

/** Adds what debugfs says of the units. */
export function readDebugfs(files: FileReader, draft: HostDraft): void {
  for (const name of ["iommu_regset", "ir_translation_struct", "invalidation_queue"]) {
    const source = `${folder}/intel/${name}`;
    const text = files.text(source, what);
    if (text !== undefined) addIntelUnits(readIntelDebugfs(text).units, source, draft);
  }
  for (const name of ["devtbl", "irqtbl"]) {
    const source = `${folder}/amd/${name}`;
    const text = files.text(source, what);
    if (text !== undefined) addAmdDebugfs(readAmdDebugfs(text), source, draft);
  }
  for (const name of files.names(`${folder}/amd`)) {
    const number = /^iommu(\d{2,4})$/.exec(name)?.[1];
    if (number === undefined) continue;
    for (const file of ["mmio", "cmdbuf"]) {
      const source = `${folder}/amd/${name}/${file}`;
      const text = files.text(source, what);
      const unit = draft.amdviUnit(`ivhd${Number(number)}`);
      if (text !== undefined) addAmdUnit(readAmdDebugfs(text), unit, source);
    }
  }
}

/** The name of a unit that a text speaks of without naming it. */
export const namelessUnit = { intel: "dmar?", amd: "ivhd?" } as const;

/** Adds what debugfs `iommu/intel` says. */
export function addIntelUnits(units: readonly IntelDebugfsUnit[], source: string, draft: HostDraft): void {
  for (const read of units) {
    const unit = draft.vtdUnit(read.name ?? theOnly(draft, "intel") ?? namelessUnit.intel);
    addIntelRegisters(unit, read, source);
    if (read.disabled !== undefined) unit.remapping ??= fact(false, lineOf(source, read.disabled));
    const { table, queue } = read;
    if (table !== undefined && read.disabled === undefined) {
      const cannotPost =
        unit.capability !== undefined && decode(capabilityLayout, unit.capability.value).pi === 0;
      unit.remapping ??= fact(true, lineOf(source, table.line));
      unit.table ??= fact(
        {
          base: table.base,
          length: null,
          width: 128,
          entries: table.entries,
          complete: read.name !== null && !table.cut && (table.posted || cannotPost),
        },
        lineOf(source, table.line),
      );
    }
    if (queue !== undefined) {
      const { line, ...state } = queue;
      unit.queue ??= fact(state, lineOf(source, line));
    }
  }
}

function addIntelRegisters(unit: Draft<VtdUnitState>, read: IntelDebugfsUnit, source: string): void {
  if (read.registers === undefined) return;
  unit.registerBase ??= fact(read.registers.base, lineOf(source, read.registers.line));
  for (const { name, offset, value, line } of read.registers.values) {
    const known = name in vtdRegisters ? vtdRegisters[name as keyof typeof vtdRegisters] : undefined;
    // GCMD cannot be read: what is printed for it says nothing.
    if (known === undefined || known.offset !== offset || known.access === "WO") continue;
    if (!unit.registers.has(name)) unit.registers.set(name, fact(value, lineOf(source, line)));
  }
}

/** The name of the only unit of a vendor. */
function theOnly(draft: HostDraft, vendor: "intel" | "amd"): string | undefined {
  const units = draft.units.filter((unit) => unit.vendor === vendor);
  return units.length === 1 ? units[0]!.name : undefined;
}

/** Adds `devtbl` and `irqtbl` of debugfs `iommu/amd`. */
export function addAmdDebugfs(read: AmdDebugfs, source: string, draft: HostDraft): void {
  const rows = new Map<string, Map<number, bigint>>();
  for (const { segment, requester, unit, entry, line } of read.devices) {
    const name = unit === null ? (theOnly(draft, "amd") ?? namelessUnit.amd) : `ivhd${unit}`;
    if (unit !== null) draft.device(segment, requester).unit ??= fact(name, lineOf(source, line));
    const devices = rows.get(name) ?? new Map<number, bigint>();
    rows.set(name, devices);
    if (!devices.has(requester)) devices.set(requester, entry);
  }
  for (const [name, devices] of rows) draft.amdviUnit(name).devices ??= fact(devices, { source });
  for (const { segment, requester, entries, width, cut, line } of read.tables) {
    const name = draft.device(segment, requester).unit?.value ?? theOnly(draft, "amd") ?? namelessUnit.amd;
    const unit = draft.amdviUnit(name);
    if (unit.tables.has(requester)) continue;
    const dte = unit.devices?.value.get(requester);
    const { base, length } = dte === undefined ? { base: null, length: null } : tableOfDte(dte);
    unit.tables.set(requester, fact({ base, length, width, entries, complete: !cut }, lineOf(source, line)));
  }
}

/** Where the interrupt table of a device table entry is; of its address, what hardware uses. */
export function tableOfDte(entry: bigint): { base: bigint | null; length: number | null } {
  const { inttableptr, inttablen, iv } = decode(dteLayout, entry);
  if (iv !== 1 || BigInt(inttableptr) === 0n) return { base: null, length: null };
  return { base: BigInt(inttableptr), length: 1 << Number(inttablen) };
}

/** Adds the registers and commands that debugfs has of one unit of AMD's. */
export function addAmdUnit(read: AmdDebugfs, unit: Draft<AmdviUnitState>, source: string): void {
  for (const { offset, value, line } of read.registers) {
    const name = Object.entries(amdviRegisters).find(([, register]) => register.offset === offset)?.[0];
    if (name !== undefined && !unit.registers.has(name)) {
      unit.registers.set(name, fact(value, lineOf(source, line)));
    }
  }
  if (read.queue === null) return;
  const { head, tail, commands, line } = read.queue;
  const descriptors = commands.map((value) => ({ value, status: null }));
  unit.queue ??= fact({ base: null, head, tail, descriptors }, lineOf(source, line));
}
