import { cite } from "../cite.ts";
import { type Rule, implementationDefined, may, shall } from "../rule.ts";

const unverified = { standing: "unverified" } as const;

const tableRules = {
  "acpi.checksum": shall(cite("acpi", "5.2.6"), "The bytes of a table sum to zero modulo 256.", unverified),
  "acpi.length": shall(
    cite("acpi", "5.2.6"),
    "The length in a table's header is that of the whole table.",
    unverified,
  ),
} as const satisfies Record<string, Rule>;

const dmarRules = {
  "acpi.dmar.reserved": shall(cite("vtd", "8.1"), "Reserved fields of the DMAR table are zero.", unverified),
  "acpi.dmar.x2apic-opt-out": shall(
    cite("vtd", "8.1"),
    "X2APIC_OPT_OUT means something only where INTR_REMAP is 1.",
  ),
  "acpi.dmar.x2apic-opt-out-eimer": shall(
    cite("vtd", "8.1"),
    "X2APIC_OPT_OUT is 0 where a unit requires extended interrupt mode (ECAP.EIMER).",
  ),
  "acpi.dmar.structure-length": shall(
    cite("vtd", "8.2"),
    "A remapping structure is at least as long as its fixed part and ends within the table.",
    unverified,
  ),
  "acpi.dmar.structure-order": shall(
    cite("vtd", "8.2"),
    "Remapping structures are listed in the order of their types.",
    unverified,
  ),
  "acpi.dmar.structure-unknown": may(
    cite("vtd", "8.2"),
    "Software skips remapping structures whose type it does not know.",
    unverified,
  ),
  "acpi.dmar.unit-missing": shall(
    cite("vtd", "8.3"),
    "A DMAR table describes at least one unit.",
    unverified,
  ),
  "acpi.dmar.unit-base": shall(
    cite("vtd", "8.3"),
    "The register base address of a unit is a multiple of 4 KiB and not zero.",
    unverified,
  ),
  "acpi.dmar.include-all-last": shall(
    cite("vtd", "8.3"),
    "A unit with INCLUDE_PCI_ALL is the last one listed for its segment.",
    unverified,
  ),
  "acpi.dmar.scope-length": shall(
    cite("vtd", "8.3.1"),
    "A device scope is 6 bytes long plus 2 for each step of its path, and ends within its structure.",
  ),
  "acpi.dmar.scope-type": shall(cite("vtd", "8.3.1"), "Device scope types are 1 to 5."),
  "acpi.dmar.reserved-region": shall(
    cite("vtd", "8.4"),
    "A reserved memory region starts and ends on 4 KiB boundaries, its limit above its base.",
    unverified,
  ),
  "acpi.dmar.name": shall(
    cite("vtd", "8.7"),
    "The object name of an ANDD structure ends in a zero byte.",
    unverified,
  ),
} as const satisfies Record<string, Rule>;

const ivrsRules = {
  "acpi.ivrs.reserved": shall(
    cite("amdvi", "5.2.1"),
    "Reserved fields of the IVRS table are zero.",
    unverified,
  ),
  "acpi.ivrs.block-length": shall(
    cite("amdvi", "5.2"),
    "A block is at least as long as its fixed part and ends within the table.",
    unverified,
  ),
  "acpi.ivrs.block-unknown": may(
    cite("amdvi", "5.2"),
    "Software skips blocks whose type it does not know.",
    unverified,
  ),
  "acpi.ivrs.unit-missing": shall(
    cite("amdvi", "5.2"),
    "An IVRS table describes at least one IOMMU.",
    unverified,
  ),
  "acpi.ivrs.unit-base": shall(
    cite("amdvi", "5.2"),
    "The register base address of an IOMMU is a multiple of 16 KiB and not zero.",
    unverified,
  ),
  "acpi.ivrs.highest-type": implementationDefined(
    cite("linux", "drivers/iommu/amd/init.c"),
    "Of the IVHD blocks that describe one IOMMU, those of the highest known type count.",
  ),
  "acpi.ivrs.entry-length": shall(
    cite("amdvi", "5.2"),
    "A device entry ends within its block; bits 7:6 of a type below F0h give its length.",
    unverified,
  ),
  "acpi.ivrs.entry-unknown": may(
    cite("amdvi", "5.2"),
    "Software skips device entries whose type it does not know.",
    unverified,
  ),
  "acpi.ivrs.entry-acpi": shall(
    cite("amdvi", "5.2"),
    "Entries that name ACPI devices appear in blocks of type 40h only.",
    unverified,
  ),
  "acpi.ivrs.range": shall(
    cite("amdvi", "5.2"),
    "A range start is followed by its range end, whose DeviceID is not below that of the start.",
    unverified,
  ),
  "acpi.ivrs.variety": shall(
    cite("amdvi", "5.2"),
    "The variety of a special device is 1 (IOAPIC) or 2 (HPET).",
  ),
  "acpi.ivrs.sb-ioapic": implementationDefined(
    cite("linux", "drivers/iommu/amd/init.c"),
    "Linux remaps interrupts only if an IOAPIC entry names 00:14.0 (00A0h), the south bridge's.",
  ),
  "acpi.ivrs.memory": shall(
    cite("amdvi", "5.2"),
    "A memory range is either excluded or unity-mapped, and a range of DeviceIDs does not end below its start.",
    unverified,
  ),
} as const satisfies Record<string, Rule>;

const madtRules = {
  "acpi.madt.structure-length": shall(
    cite("acpi", "5.2.12"),
    "A structure of the MADT is at least as long as its type requires and ends within the table.",
    unverified,
  ),
} as const satisfies Record<string, Rule>;

export const acpiRules = {
  ...tableRules,
  ...dmarRules,
  ...ivrsRules,
  ...madtRules,
} as const satisfies Record<string, Rule>;
