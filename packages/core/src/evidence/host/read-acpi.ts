import { type DmarTable, readDmar } from "../dmar.ts";
import { InputError } from "../input-error.ts";
import { type IvrsTable, effectiveUnits, readIvrs } from "../ivrs.ts";
import { readMadt } from "../madt.ts";
import { type HostDraft, learn } from "./draft.ts";
import { type Fact, fact } from "./fact.ts";
import type { FileReader } from "./file-reader.ts";

const folder = "sys/firmware/acpi/tables";

/** Adds the firmware's tables. */
export function readAcpiTables(files: FileReader, draft: HostDraft): void {
  const { firmware } = draft;
  learn(firmware, "dmar", table(files, draft, "DMAR", readDmar));
  learn(firmware, "ivrs", table(files, draft, "IVRS", readIvrs));
  learn(firmware, "madt", table(files, draft, "APIC", readMadt));
}

function table<Table>(
  files: FileReader,
  draft: HostDraft,
  name: string,
  read: (bytes: Uint8Array) => Table,
): Fact<Table> | undefined {
  const source = `${folder}/${name}`;
  const bytes = files.bytes(source, "ACPI tables", 1 << 20);
  if (bytes === undefined || bytes.length === 0) return undefined;
  try {
    return fact(read(bytes), { source });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    draft.missing.push({ what: `ACPI table ${name}`, why: error.message, needs: null });
    return undefined;
  }
}

/**
 * Adds what the firmware's tables say of the units. A unit is known by its registers; where nothing else names the
 * units, they are numbered in the table's order, as Linux does it.
 */
export function addFirmwareUnits(draft: HostDraft): void {
  const { dmar, ivrs } = draft.firmware;
  if (dmar !== undefined) addDmarUnits(dmar.value, draft, dmar.origin.source);
  if (ivrs !== undefined) addIvrsUnits(ivrs.value, draft, ivrs.origin.source);
}

function addDmarUnits(dmar: DmarTable, draft: HostDraft, source: string): void {
  const named = draft.units.some(({ vendor }) => vendor === "intel");
  const structures = dmar.structures.filter((structure) => structure.kind === "DRHD");
  for (const [i, { base, segment, offset }] of structures.entries()) {
    const known = draft.units.some(
      ({ vendor, registerBase }) => vendor === "intel" && registerBase?.value === base,
    );
    if (named && !known) continue;
    const origin = { source, place: `offset 0x${offset.toString(16)}` };
    const unit = draft.vtdUnit(`dmar${i}`, base);
    unit.registerBase ??= fact(base, origin);
    unit.segment ??= fact(segment, origin);
  }
}

function addIvrsUnits(ivrs: IvrsTable, draft: HostDraft, source: string): void {
  const named = draft.units.some(({ vendor }) => vendor === "amd");
  for (const [i, block] of effectiveUnits(ivrs).entries()) {
    const name = `ivhd${i}`;
    const known = draft.units.some((unit) => unit.vendor === "amd" && unit.name === name);
    if (named && !known) continue;
    const origin = { source, place: `offset 0x${block.offset.toString(16)}` };
    const unit = draft.amdviUnit(name, block.base);
    unit.registerBase ??= fact(block.base, origin);
    unit.requester ??= fact(block.deviceId, origin);
    unit.segment ??= fact(block.segment, origin);
    if (block.efr !== undefined && block.efr !== 0n) unit.features ??= fact(block.efr, origin);
    if (block.efr2 !== undefined && block.efr2 !== 0n) unit.features2 ??= fact(block.efr2, origin);
  }
}
