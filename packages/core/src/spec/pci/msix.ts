import { cite } from "../cite.ts";
import { bit, bits, layout } from "../layout.ts";

/** Bytes of one MSI-X table entry. */
export const msixEntryBytes = 16;
/** The most entries that a table can have. */
export const msixLimit = 2048;

/** First dword of the MSI-X capability: id, link and Message Control. */
export const msixControl = layout({
  name: "msix-control",
  title: "MSI-X capability header",
  width: 32,
  section: cite("pci", "6.8.2.3"),
  fields: {
    id: bits(7, 0, "Capability ID", { values: { 0x11: "MSI-X" } }),
    next: bits(15, 8, "Next capability"),
    size: bits(26, 16, "Table Size, less one"),
    fm: bit(30, "Function Mask"),
    en: bit(31, "MSI-X Enable"),
  },
});

/** The whole MSI-X capability, three dwords. */
export const msixCapability = layout({
  name: "msix-capability",
  title: "MSI-X capability",
  width: 96,
  section: cite("pci", "6.8.2"),
  fields: {
    ...msixControl.fields,
    tablebir: bits(34, 32, "Table BAR indicator", {
      section: cite("pci", "6.8.2.4"),
      illegal: { values: [6, 7], rule: "pci.msix.bir-reserved" },
    }),
    tableoffset: bits(63, 35, "Table offset", { section: cite("pci", "6.8.2.4"), scale: 3 }),
    pbabir: bits(66, 64, "Pending Bit Array BAR indicator", {
      section: cite("pci", "6.8.2.5"),
      illegal: { values: [6, 7], rule: "pci.msix.bir-reserved" },
    }),
    pbaoffset: bits(95, 67, "Pending Bit Array offset", { section: cite("pci", "6.8.2.5"), scale: 3 }),
  },
});

/** One entry of the MSI-X table. */
export const msixTableEntry = layout({
  name: "msix-table-entry",
  title: "MSI-X table entry",
  width: 128,
  section: cite("pci", "6.8.2.6"),
  fields: {
    alignment: bits(1, 0, "Zero for DWORD alignment"),
    address: bits(63, 2, "Message Address", { scale: 2 }),
    data: bits(95, 64, "Message Data", { section: cite("pci", "6.8.2.8") }),
    mask: bit(96, "Mask Bit", { section: cite("pci", "6.8.2.9") }),
  },
  constraints: [{ rule: "pci.msix.address-alignment", given: {}, requires: { alignment: [0] } }],
});
