import { cite } from "../cite.ts";
import { type Layout, bit, bits, layout } from "../layout.ts";
import { acpiHeaderFields } from "./table.ts";

/** Bytes before the first remapping structure. */
export const dmarHeaderBytes = 48;
/** Bytes of a device scope without its path. */
export const scopeHeaderBytes = 6;

const reserved = "acpi.dmar.reserved";

/** The table's header, up to its first structure. */
export const dmarHeader = layout({
  name: "dmar-header",
  title: "DMA Remapping Reporting table",
  width: 384,
  section: cite("vtd", "8.1"),
  reserved,
  fields: {
    ...acpiHeaderFields,
    haw: bits(295, 288, "Host Address Width, less one"),
    intrremap: bit(296, "INTR_REMAP: the platform supports interrupt remapping"),
    x2apicoptout: bit(297, "X2APIC_OPT_OUT: firmware asks not to enable x2APIC mode"),
    dmactrlplatformoptin: bit(298, "DMA_CTRL_PLATFORM_OPT_IN_FLAG"),
  },
  constraints: [
    { rule: "acpi.dmar.x2apic-opt-out", given: { x2apicoptout: [1] }, requires: { intrremap: [1] } },
  ],
});

const kinds = { 0: "DRHD", 1: "RMRR", 2: "ATSR", 3: "RHSA", 4: "ANDD", 5: "SATC", 6: "SIDP" } as const;

const header = {
  type: bits(15, 0, "Type", { values: kinds }),
  length: bits(31, 16, "Length of the structure in bytes"),
} as const;

/** What every remapping structure starts with. */
export const dmarStructure = layout({
  name: "dmar-structure",
  title: "Remapping structure header",
  width: 32,
  section: cite("vtd", "8.2"),
  fields: header,
});

/** DMA Remapping Hardware Unit Definition; device scopes follow. */
export const drhd = layout({
  name: "dmar-drhd",
  title: "DMA Remapping Hardware Unit Definition",
  width: 128,
  section: cite("vtd", "8.3"),
  reserved,
  fields: {
    ...header,
    includepciall: bit(32, "INCLUDE_PCI_ALL: every device of the segment that no other unit claims"),
    size: bits(43, 40, "Register set size: 2^N pages of 4 KiB"),
    segment: bits(63, 48, "PCI segment"),
    base: bits(127, 64, "Register base address"),
  },
});

/** Reserved Memory Region Reporting; device scopes follow. */
export const rmrr = layout({
  name: "dmar-rmrr",
  title: "Reserved Memory Region Reporting",
  width: 192,
  section: cite("vtd", "8.4"),
  reserved,
  fields: {
    ...header,
    segment: bits(63, 48, "PCI segment"),
    base: bits(127, 64, "Base address"),
    limit: bits(191, 128, "Limit address, its last byte included"),
  },
});

/** Root Port ATS Capability Reporting; device scopes follow. */
export const atsr = layout({
  name: "dmar-atsr",
  title: "Root Port ATS Capability Reporting",
  width: 64,
  section: cite("vtd", "8.5"),
  reserved,
  fields: {
    ...header,
    allports: bit(32, "ALL_PORTS: every root port of the segment"),
    segment: bits(63, 48, "PCI segment"),
  },
});

/** Remapping Hardware Static Affinity. */
export const rhsa = layout({
  name: "dmar-rhsa",
  title: "Remapping Hardware Static Affinity",
  width: 160,
  section: cite("vtd", "8.6"),
  reserved,
  fields: {
    ...header,
    base: bits(127, 64, "Register base address of the unit"),
    proximity: bits(159, 128, "Proximity domain"),
  },
});

/** ACPI Name-space Device Declaration; the object's name follows, ended by a zero byte. */
export const andd = layout({
  name: "dmar-andd",
  title: "ACPI Name-space Device Declaration",
  width: 64,
  section: cite("vtd", "8.7"),
  reserved,
  fields: { ...header, device: bits(63, 56, "ACPI device number") },
});

/** SoC Integrated Address Translation Cache; device scopes follow. */
export const satc = layout({
  name: "dmar-satc",
  title: "SoC Integrated Address Translation Cache",
  width: 64,
  section: cite("vtd", "8.8"),
  reserved,
  fields: {
    ...header,
    atcrequired: bit(32, "ATC_REQUIRED: functional without the cache or not"),
    segment: bits(63, 48, "PCI segment"),
  },
});

/** SoC Integrated Device Property; device scopes follow. */
export const sidp = layout({
  name: "dmar-sidp",
  title: "SoC Integrated Device Property",
  width: 64,
  section: cite("vtd", "8.9"),
  reserved,
  fields: { ...header, segment: bits(63, 48, "PCI segment") },
});

/** A device scope, without the device and function pairs of its path. */
export const deviceScope = layout({
  name: "dmar-device-scope",
  title: "Device Scope",
  width: 48,
  section: cite("vtd", "8.3.1"),
  fields: {
    type: bits(7, 0, "Type", {
      values: {
        1: "PCI endpoint",
        2: "PCI sub-hierarchy",
        3: "IOAPIC",
        4: "MSI-capable HPET",
        5: "ACPI name-space device",
      },
    }),
    length: bits(15, 8, "Length in bytes, its path included"),
    flags: bits(23, 16, "Flags"),
    id: bits(39, 32, "Enumeration ID"),
    bus: bits(47, 40, "Start bus number"),
  },
});

/** A step of a device scope's path. */
export const scopeStep = layout({
  name: "dmar-scope-step",
  title: "Device Scope path step",
  width: 16,
  section: cite("vtd", "8.3.1"),
  fields: { device: bits(7, 0, "Device number"), function: bits(15, 8, "Function number") },
});

export interface DmarStructureKind {
  readonly kind: "DRHD" | "RMRR" | "ATSR" | "RHSA" | "ANDD" | "SATC" | "SIDP";
  readonly layout: Layout;
  /** What follows the fixed part. */
  readonly tail: "scopes" | "name" | "none";
}

/** The structures by their type number. */
export const dmarStructures: readonly DmarStructureKind[] = [
  { kind: "DRHD", layout: drhd, tail: "scopes" },
  { kind: "RMRR", layout: rmrr, tail: "scopes" },
  { kind: "ATSR", layout: atsr, tail: "scopes" },
  { kind: "RHSA", layout: rhsa, tail: "none" },
  { kind: "ANDD", layout: andd, tail: "name" },
  { kind: "SATC", layout: satc, tail: "scopes" },
  { kind: "SIDP", layout: sidp, tail: "scopes" },
];
