import { cite } from "../cite.ts";
import { type Layout, bit, bits, layout } from "../layout.ts";
import { acpiHeaderFields } from "./table.ts";

/** Bytes before the first block. */
export const ivrsHeaderBytes = 48;

const reserved = "acpi.ivrs.reserved";
const section = cite("amdvi", "5.2");

/** The table's header, up to its first block. */
export const ivrsHeader = layout({
  name: "ivrs-header",
  title: "I/O Virtualization Reporting Structure",
  width: 384,
  section: cite("amdvi", "5.2.1"),
  reserved,
  fields: {
    ...acpiHeaderFields,
    efrsup: bit(288, "EFRSup: the blocks carry an image of the extended features"),
    dmaremap: bit(289, "DMA remapping was used before the operating system"),
    gvasize: bits(295, 293, "Guest virtual address size", { values: { 2: "48 bits" } }),
    pasize: bits(302, 296, "Physical address size in bits"),
    vasize: bits(309, 303, "Virtual address size in bits"),
    htatsresv: bit(310, "The HyperTransport range is reserved in ATS responses"),
  },
});

const blockTypes = {
  0x10: "IVHD",
  0x11: "IVHD",
  0x40: "IVHD",
  0x20: "IVMD, all devices",
  0x21: "IVMD, one device",
  0x22: "IVMD, a range",
} as const;

const blockHeader = {
  type: bits(7, 0, "Block type", { values: blockTypes }),
  length: bits(31, 16, "Length of the block in bytes"),
} as const;

/** What every block starts with. */
export const ivrsBlock = layout({
  name: "ivrs-block",
  title: "IVRS block header",
  width: 32,
  section,
  fields: blockHeader,
});

const hardware = {
  ...blockHeader,
  httunen: bit(8, "HtTunEn"),
  passpw: bit(9, "PassPW"),
  respasspw: bit(10, "ResPassPW"),
  isoc: bit(11, "Isoc"),
  iotlbsup: bit(12, "IotlbSup: devices may cache translations"),
  coherent: bit(13, "Coherent"),
  deviceid: bits(47, 32, "DeviceID of the IOMMU"),
  capoffset: bits(63, 48, "Capability offset"),
  base: bits(127, 64, "Register base address"),
  segment: bits(143, 128, "PCI segment"),
  msinum: bits(148, 144, "MSI number of the event log"),
  unitid: bits(156, 152, "HyperTransport UnitID"),
} as const;

/** IVHD block of type 10h; device entries follow. */
export const ivhd10 = layout({
  name: "ivrs-ivhd-10",
  title: "I/O Virtualization Hardware Definition, type 10h",
  width: 192,
  section,
  fields: {
    ...hardware,
    prefsup: bit(14, "PreFSup"),
    pprsup: bit(15, "PPRSup"),
    xtsup: bit(160, "XTSup"),
    nxsup: bit(161, "NXSup"),
    gtsup: bit(162, "GTSup"),
    glxsup: bits(164, 163, "GLXSup"),
    iasup: bit(165, "IASup"),
    gasup: bit(166, "GASup"),
    hesup: bit(167, "HESup"),
    pasmax: bits(172, 168, "PASmax"),
    pncounters: bits(176, 173, "PNCounters"),
    pnbanks: bits(182, 177, "PNBanks"),
    msinumppr: bits(187, 183, "MsiNumPPR"),
    gats: bits(189, 188, "GATS"),
    hats: bits(191, 190, "HATS"),
  },
});

const extended = {
  ...hardware,
  pncounters: bits(176, 173, "PNCounters"),
  pnbanks: bits(182, 177, "PNBanks"),
  msinumppr: bits(187, 183, "MsiNumPPR"),
  efr: bits(255, 192, "Image of the Extended Feature Register"),
  efr2: bits(319, 256, "Image of the Extended Feature 2 Register"),
} as const;

/** IVHD block of type 11h; device entries follow. */
export const ivhd11 = layout({
  name: "ivrs-ivhd-11",
  title: "I/O Virtualization Hardware Definition, type 11h",
  width: 320,
  section,
  fields: extended,
});

/** IVHD block of type 40h, the one that may name ACPI devices; device entries follow. */
export const ivhd40 = layout({
  name: "ivrs-ivhd-40",
  title: "I/O Virtualization Hardware Definition, type 40h",
  width: 320,
  section,
  fields: extended,
});

/** IVMD block. */
export const ivmd = layout({
  name: "ivrs-ivmd",
  title: "I/O Virtualization Memory Definition",
  width: 256,
  section,
  fields: {
    ...blockHeader,
    unity: bit(8, "Unity: mapped to the same addresses"),
    ir: bit(9, "IR: devices may read"),
    iw: bit(10, "IW: devices may write"),
    exclusion: bit(11, "Exclusion range: not translated"),
    deviceid: bits(47, 32, "DeviceID, or the first of a range"),
    aux: bits(63, 48, "Last DeviceID of a range"),
    start: bits(191, 128, "Start address"),
    size: bits(255, 192, "Length in bytes"),
  },
});

const entryTypes = {
  0x00: "padding",
  0x01: "all",
  0x02: "select",
  0x03: "range start",
  0x04: "range end",
  0x40: "padding",
  0x42: "alias select",
  0x43: "alias range start",
  0x46: "extended select",
  0x47: "extended range start",
  0x48: "special device",
  0xf0: "ACPI device",
} as const;

const entry = {
  type: bits(7, 0, "Entry type", { values: entryTypes }),
  deviceid: bits(23, 8, "DeviceID"),
  initpass: bit(24, "INITPass"),
  eintpass: bit(25, "EIntPass"),
  nmipass: bit(26, "NMIPass"),
  sysmgt: bits(29, 28, "SysMgt"),
  lint0pass: bit(30, "LINT0Pass"),
  lint1pass: bit(31, "LINT1Pass"),
} as const;

/** A device entry of 4 bytes, and the start of every longer one. */
export const ivhdEntry = layout({
  name: "ivrs-entry",
  title: "IVHD device entry",
  width: 32,
  section,
  fields: entry,
});

/** Device entries 42h and 43h: requests carry another DeviceID. */
export const ivhdAliasEntry = layout({
  name: "ivrs-entry-alias",
  title: "IVHD device entry, alias",
  width: 64,
  section,
  fields: { ...entry, source: bits(55, 40, "Source DeviceID, the one that requests carry") },
});

/** Device entries 46h and 47h. */
export const ivhdExtendedEntry = layout({
  name: "ivrs-entry-extended",
  title: "IVHD device entry, extended",
  width: 64,
  section,
  fields: { ...entry, atsdisabled: bit(63, "AtsDisabled") },
});

/** Device entry 48h: an IOAPIC or HPET and the DeviceID of its requests. */
export const ivhdSpecialEntry = layout({
  name: "ivrs-entry-special",
  title: "IVHD device entry, special device",
  width: 64,
  section,
  fields: {
    ...entry,
    handle: bits(39, 32, "IOAPIC ID or HPET number"),
    source: bits(55, 40, "Source DeviceID"),
    variety: bits(63, 56, "Variety", { values: { 1: "IOAPIC", 2: "HPET" } }),
  },
});

/** Device entry F0h without the unique id that ends it. */
export const ivhdAcpiEntry = layout({
  name: "ivrs-entry-acpi",
  title: "IVHD device entry, ACPI device",
  width: 176,
  section,
  fields: {
    ...entry,
    hid: bits(95, 32, "Hardware ID"),
    cid: bits(159, 96, "Compatible ID"),
    uidformat: bits(167, 160, "Unique ID format", { values: { 0: "none", 1: "integer", 2: "text" } }),
    uidlength: bits(175, 168, "Unique ID length in bytes"),
  },
});

/** The fixed part of IVHD blocks by block type; their device entries start right behind it. */
export const ivhdLayouts: Readonly<Record<number, Layout>> = { 0x10: ivhd10, 0x11: ivhd11, 0x40: ivhd40 };

/** Block types of IVMD. */
export const ivmdTypes = { all: 0x20, select: 0x21, range: 0x22 } as const;

export const entryType = {
  pad4: 0x00,
  all: 0x01,
  select: 0x02,
  rangeStart: 0x03,
  rangeEnd: 0x04,
  pad8: 0x40,
  aliasSelect: 0x42,
  aliasRangeStart: 0x43,
  extendedSelect: 0x46,
  extendedRangeStart: 0x47,
  special: 0x48,
  acpi: 0xf0,
} as const;

/** The layouts of the entry types that say something, padding excluded. */
export const entryLayouts: Readonly<Record<number, Layout>> = {
  [entryType.all]: ivhdEntry,
  [entryType.select]: ivhdEntry,
  [entryType.rangeStart]: ivhdEntry,
  [entryType.rangeEnd]: ivhdEntry,
  [entryType.aliasSelect]: ivhdAliasEntry,
  [entryType.aliasRangeStart]: ivhdAliasEntry,
  [entryType.extendedSelect]: ivhdExtendedEntry,
  [entryType.extendedRangeStart]: ivhdExtendedEntry,
  [entryType.special]: ivhdSpecialEntry,
  [entryType.acpi]: ivhdAcpiEntry,
};

/**
 * Bytes of a device entry, from the two high bits of its type: 4, 8, 16 or 32. Types F0h and above have no fixed
 * length: F0h ends in a unique id whose length it states, the others are not known.
 */
export function entryBytes(type: number): number | undefined {
  return type >= entryType.acpi ? undefined : 4 << (type >> 6);
}
