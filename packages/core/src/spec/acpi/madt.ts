import { cite } from "../cite.ts";
import { bit, bits, layout } from "../layout.ts";
import { acpiHeaderFields } from "./table.ts";

/** Bytes before the first structure. */
export const madtHeaderBytes = 44;

/** The table's header, up to its first structure. */
export const madtHeader = layout({
  name: "madt-header",
  title: "Multiple APIC Description Table",
  width: 352,
  section: cite("acpi", "5.2.12"),
  fields: {
    ...acpiHeaderFields,
    localapic: bits(319, 288, "Physical address of the local APICs"),
    pcatcompat: bit(320, "PCAT_COMPAT: there are two 8259 interrupt controllers too"),
  },
});

/** Types of structures that are read here. */
export const madtTypes = { localApic: 0, ioapic: 1, localX2apic: 9 } as const;

const header = {
  type: bits(7, 0, "Type", { values: { 0: "local APIC", 1: "IOAPIC", 9: "local x2APIC" } }),
  length: bits(15, 8, "Length of the structure in bytes"),
} as const;

/** What every structure starts with. */
export const madtStructure = layout({
  name: "madt-structure",
  title: "Interrupt controller structure header",
  width: 16,
  section: cite("acpi", "5.2.12"),
  fields: header,
});

/** A processor whose APIC id has 8 bits. */
export const madtLocalApic = layout({
  name: "madt-local-apic",
  title: "Processor Local APIC structure",
  width: 64,
  section: cite("acpi", "5.2.12.2"),
  fields: {
    ...header,
    uid: bits(23, 16, "ACPI processor UID"),
    id: bits(31, 24, "APIC ID"),
    enabled: bit(32, "Enabled"),
    online: bit(33, "Online capable"),
  },
});

/** An IOAPIC. */
export const madtIoapic = layout({
  name: "madt-ioapic",
  title: "I/O APIC structure",
  width: 96,
  section: cite("acpi", "5.2.12.3"),
  fields: {
    ...header,
    id: bits(23, 16, "I/O APIC ID"),
    address: bits(63, 32, "Physical address"),
    gsibase: bits(95, 64, "Global system interrupt of its first pin"),
  },
});

/** A processor whose APIC id has 32 bits. */
export const madtLocalX2apic = layout({
  name: "madt-local-x2apic",
  title: "Processor Local x2APIC structure",
  width: 128,
  section: cite("acpi", "5.2.12.12"),
  fields: {
    ...header,
    id: bits(63, 32, "x2APIC ID"),
    enabled: bit(64, "Enabled"),
    online: bit(65, "Online capable"),
    uid: bits(127, 96, "ACPI processor UID"),
  },
});
