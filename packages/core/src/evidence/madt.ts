import {
  madtHeader,
  madtHeaderBytes,
  madtIoapic,
  madtLocalApic,
  madtLocalX2apic,
  madtStructure,
  madtTypes,
} from "../spec/acpi/madt.ts";
import { type AcpiHeader, AcpiTableReader, type TableFinding } from "./acpi-table.ts";

/** A MADT: the processors and IOAPICs of a machine (ACPI 6.5 §5.2.12). */
export interface MadtTable {
  readonly header: AcpiHeader;
  readonly processors: readonly {
    readonly apicId: number;
    readonly enabled: boolean;
    /** From a structure for local x2APICs. */
    readonly x2apic: boolean;
  }[];
  readonly ioapics: readonly { readonly id: number; readonly address: number; readonly gsiBase: number }[];
  readonly findings: readonly TableFinding[];
}

/**
 * Reads a MADT. Structures up to the first one whose length cannot be followed are read; those of other types are
 * skipped.
 * @throws InputError when the bytes end within the table's header or are no MADT.
 */
export function readMadt(bytes: Uint8Array): MadtTable {
  const reader = new AcpiTableReader(bytes, "APIC", madtHeader);
  const processors: MadtTable["processors"][number][] = [];
  const ioapics: MadtTable["ioapics"][number][] = [];
  reader.walk(madtHeaderBytes, (offset) => {
    const length = lengthAt(reader, offset);
    if (length === undefined) return undefined;
    switch (bytes[offset]) {
      case madtTypes.localApic: {
        const { id, enabled } = reader.decode(madtLocalApic, offset);
        processors.push({ apicId: Number(id), enabled: enabled === 1, x2apic: false });
        break;
      }
      case madtTypes.localX2apic: {
        const { id, enabled } = reader.decode(madtLocalX2apic, offset);
        processors.push({ apicId: Number(id), enabled: enabled === 1, x2apic: true });
        break;
      }
      case madtTypes.ioapic: {
        const { id, address, gsibase } = reader.decode(madtIoapic, offset);
        ioapics.push({ id: Number(id), address: Number(address), gsiBase: Number(gsibase) });
        break;
      }
    }
    return { length };
  });
  return { header: reader.header, processors, ioapics, findings: reader.findings };
}

const structureBytes = madtStructure.width / 8;

const leastBytes: Readonly<Record<number, number>> = {
  [madtTypes.localApic]: madtLocalApic.width / 8,
  [madtTypes.ioapic]: madtIoapic.width / 8,
  [madtTypes.localX2apic]: madtLocalX2apic.width / 8,
};

/** Bytes of the structure at an offset; undefined where that cannot be followed. */
function lengthAt(reader: AcpiTableReader, offset: number): number | undefined {
  const room = reader.end - offset;
  const length = room < structureBytes ? room : reader.bytes[offset + 1]!;
  const least = leastBytes[reader.bytes[offset]!] ?? structureBytes;
  if (length >= least && length <= room) return length;
  reader.report("acpi.madt.structure-length", offset, `length ${length}, expected ${least} to ${room}`);
  return undefined;
}
