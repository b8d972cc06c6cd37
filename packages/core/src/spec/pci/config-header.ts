import { cite } from "../cite.ts";
import { bit, bits, layout } from "../layout.ts";

/** Byte offsets in the configuration space of a type 0 function. */
export const configOffset = {
  id: 0x00,
  commandStatus: 0x04,
  classRevision: 0x08,
  headerType: 0x0e,
  bar0: 0x10,
  subsystem: 0x2c,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
} as const;

/** Where capabilities may begin: behind the 64 bytes of the header. */
export const firstCapability = 0x40;

export const capabilityIds = { msi: 0x05, vendor: 0x09, express: 0x10, msix: 0x11 } as const;

/** Dword 0: who made the function. */
export const pciId = layout({
  name: "pci-id",
  title: "Vendor ID and Device ID",
  width: 32,
  section: cite("pci", "6.2.1"),
  fields: { vendor: bits(15, 0, "Vendor ID"), device: bits(31, 16, "Device ID") },
});

/** Dword 1: the Command register and, above it, the Status register. */
export const pciCommandStatus = layout({
  name: "pci-command-status",
  title: "Command and Status",
  width: 32,
  section: cite("pci", "6.2.2"),
  fields: {
    io: bit(0, "I/O Space Enable"),
    mse: bit(1, "Memory Space Enable"),
    bme: bit(2, "Bus Master Enable"),
    perr: bit(6, "Parity Error Response"),
    serr: bit(8, "SERR# Enable"),
    intxdis: bit(10, "Interrupt Disable"),
    intxsts: bit(19, "Interrupt Status", { section: cite("pci", "6.2.3") }),
    caplist: bit(20, "Capabilities List", { section: cite("pci", "6.2.3") }),
    errors: bits(31, 24, "Error bits, cleared by writing ones", { section: cite("pci", "6.2.3") }),
  },
});

/** Dword 2. */
export const pciClass = layout({
  name: "pci-class",
  title: "Class Code and Revision ID",
  width: 32,
  section: cite("pci", "6.2.1"),
  fields: {
    revision: bits(7, 0, "Revision ID"),
    interface: bits(15, 8, "Programming interface"),
    subclass: bits(23, 16, "Sub-class"),
    base: bits(31, 24, "Base class"),
  },
});

/** The low dword of a Base Address register that maps memory. */
export const pciMemoryBar = layout({
  name: "pci-memory-bar",
  title: "Base Address Register, memory",
  width: 32,
  section: cite("pci", "6.2.5.1"),
  fields: {
    space: bit(0, "Space", { values: { 0: "memory", 1: "I/O" } }),
    type: bits(2, 1, "Type", {
      values: { 0: "32-bit", 2: "64-bit" },
      illegal: { values: [1, 3], rule: "pci.bar.type" },
    }),
    prefetch: bit(3, "Prefetchable"),
    base: bits(31, 4, "Base Address", { scale: 4 }),
  },
});

/** A Base Address register that maps I/O ports. */
export const pciIoBar = layout({
  name: "pci-io-bar",
  title: "Base Address Register, I/O",
  width: 32,
  section: cite("pci", "6.2.5.1"),
  fields: {
    space: bit(0, "Space", { values: { 0: "memory", 1: "I/O" } }),
    base: bits(31, 2, "Base Address", { scale: 2 }),
  },
});
