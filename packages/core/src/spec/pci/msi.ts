import { cite } from "../cite.ts";
import { type Field, bit, bits, layout } from "../layout.ts";

const vectorCounts = { 0: "1", 1: "2", 2: "4", 3: "8", 4: "16", 5: "32" } as const;

/** First dword of the MSI capability: id, link and Message Control. */
export const msiControl = layout({
  name: "msi-control",
  title: "MSI capability header",
  width: 32,
  section: cite("pci", "6.8.1.3"),
  fields: {
    id: bits(7, 0, "Capability ID", { values: { 5: "MSI" } }),
    next: bits(15, 8, "Next capability"),
    en: bit(16, "MSI Enable"),
    mmc: bits(19, 17, "Multiple Message Capable", {
      values: vectorCounts,
      illegal: { values: [6, 7], rule: "pci.msi.count-reserved" },
    }),
    mme: bits(22, 20, "Multiple Message Enable", {
      values: vectorCounts,
      illegal: { values: [6, 7], rule: "pci.msi.count-reserved" },
    }),
    c64: bit(23, "64-bit Address Capable"),
    pvm: bit(24, "Per-vector Masking Capable"),
  },
});

const header = msiControl.fields;

function addressLow(): Field {
  return bits(63, 34, "Message Address", { section: cite("pci", "6.8.1.4"), scale: 2 });
}

function address64(): Field {
  return bits(95, 34, "Message Address", { section: cite("pci", "6.8.1.5"), scale: 2 });
}

function data(low: number): Field {
  return bits(low + 15, low, "Message Data", { section: cite("pci", "6.8.1.6") });
}

function masking(low: number): { readonly mask: Field; readonly pending: Field } {
  return {
    mask: bits(low + 31, low, "Mask Bits, one a vector", { section: cite("pci", "6.8.1.7") }),
    pending: bits(low + 63, low + 32, "Pending Bits, one a vector", { section: cite("pci", "6.8.1.8") }),
  };
}

/** MSI capability with a 32-bit address. */
export const msiCapability32 = layout({
  name: "msi-capability-32",
  title: "MSI capability, 32-bit address",
  width: 80,
  section: cite("pci", "6.8.1"),
  fields: { ...header, address: addressLow(), data: data(64) },
});

/** MSI capability with a 64-bit address. */
export const msiCapability64 = layout({
  name: "msi-capability-64",
  title: "MSI capability, 64-bit address",
  width: 112,
  section: cite("pci", "6.8.1"),
  fields: { ...header, address: address64(), data: data(96) },
});

/** MSI capability with a 32-bit address and per-vector masking. */
export const msiCapability32Masking = layout({
  name: "msi-capability-32-masking",
  title: "MSI capability, 32-bit address, per-vector masking",
  width: 160,
  section: cite("pci", "6.8.1"),
  fields: { ...header, address: addressLow(), data: data(64), ...masking(96) },
});

/** MSI capability with a 64-bit address and per-vector masking. */
export const msiCapability64Masking = layout({
  name: "msi-capability-64-masking",
  title: "MSI capability, 64-bit address, per-vector masking",
  width: 192,
  section: cite("pci", "6.8.1"),
  fields: { ...header, address: address64(), data: data(96), ...masking(128) },
});
