import { cite } from "../cite.ts";
import { type Field, type Layout, bit, bits, layout } from "../layout.ts";
import type { Access, Register } from "../register.ts";

function register<Name extends string>(
  name: string,
  title: string,
  section: string,
  fields: Record<Name, Field>,
  options: Pick<Layout, "reserved"> = {},
): Layout<Name> {
  return layout<Name>({
    name,
    title,
    width: 64,
    section: cite("amdvi", `3.4 ${section}`),
    fields,
    ...options,
  });
}

const reserved = { reserved: "amdvi.register.reserved" } as const;

export const deviceTableBase = register(
  "amdvi-device-table-base",
  "Device Table Base Address Register",
  "MMIO 0000h",
  {
    size: bits(8, 0, "Size, in pages of 4 KiB less one"),
    base: bits(51, 12, "Device Table Base Address", { scale: 12 }),
  },
  reserved,
);

function bufferBase(name: string, title: string, section: string): Layout<"base" | "length"> {
  return register(name, title, section, {
    base: bits(51, 12, "Base Address", { scale: 12 }),
    length: bits(59, 56, "Length, 2^(n+4) bytes", {
      illegal: { values: [0, 1, 2, 3, 4, 5, 6, 7], rule: "amdvi.register.buffer-length" },
    }),
  });
}

/** CMD_BUF_BASE, EVT_LOG_BASE, PPR_LOG_BASE and GA_LOG_BASE are alike. */
export const ringBase = bufferBase("amdvi-ring-base", "Base Address Register of a ring buffer", "MMIO 0008h");

/** Head and tail of the buffers with 16-byte entries. */
export const ringPointer = register("amdvi-ring-pointer", "Head or Tail Pointer Register", "MMIO 2000h", {
  pointer: bits(18, 4, "Byte offset", { scale: 4 }),
});

/** Head and tail of the guest log, whose entries have 8 bytes. */
export const galogPointer = register(
  "amdvi-galog-pointer",
  "GALog Head or Tail Pointer Register",
  "MMIO 2040h",
  {
    pointer: bits(18, 3, "Byte offset", { scale: 3 }),
  },
);

export const galogTailAddress = register(
  "amdvi-galog-tail-address",
  "GALog Tail Address Register",
  "MMIO 00E8h",
  {
    address: bits(51, 3, "Memory to which the tail is copied", { scale: 3 }),
  },
);

export const control = register("amdvi-control", "Control Register", "MMIO 0018h", {
  iommuen: bit(0, "IOMMU Enable"),
  httunen: bit(1, "HyperTransport Tunnel Translation Enable"),
  evtlogen: bit(2, "Event Log Enable"),
  evtinten: bit(3, "Event Log Interrupt Enable"),
  comwaitinten: bit(4, "Completion Wait Interrupt Enable"),
  invtimeout: bits(7, 5, "Invalidation Timeout"),
  passpw: bit(8, "Pass Posted Write"),
  respasspw: bit(9, "Response Pass Posted Write"),
  coherent: bit(10, "Coherent"),
  isoc: bit(11, "Isochronous"),
  cmdbufen: bit(12, "Command Buffer Enable"),
  pprlogen: bit(13, "PPR Log Enable"),
  pprinten: bit(14, "PPR Interrupt Enable"),
  ppren: bit(15, "PPR Enable"),
  gten: bit(16, "Guest Translation Enable"),
  gaen: bit(17, "Guest virtual APIC Enable: 128-bit interrupt table entries"),
  smifen: bit(22, "SMI Filter Enable"),
  slfwbdis: bit(23, "Self Write-Back Disable"),
  smiflogen: bit(24, "SMI Filter Log Enable"),
  gamen: bits(27, 25, "Guest virtual APIC Mode Enable", { values: { 0: "off", 1: "guest-mode entries" } }),
  galogen: bit(28, "Guest virtual APIC Log Enable"),
  gainten: bit(29, "Guest virtual APIC Interrupt Enable"),
  numintremapmode: bits(44, 43, "Number of Interrupts, Remap Mode", { values: { 0: "512", 1: "2048" } }),
  xten: bit(50, "x2APIC Enable"),
  intcapxten: bit(51, "Interrupt Capability x2APIC Enable"),
  gaupdatedis: bit(54, "Guest virtual APIC Update Disable"),
  gappien: bit(55, "Guest APIC Physical Processor Interrupt Enable"),
  irtcachedis: bit(59, "Interrupt Table Cache Disable"),
  snpavicen: bits(63, 61, "SNP AVIC Enable"),
});

export const extendedFeature = register("amdvi-extended-feature", "Extended Feature Register", "MMIO 0030h", {
  prefsup: bit(0, "Prefetch Support"),
  pprsup: bit(1, "Peripheral Page Request Support"),
  xtsup: bit(2, "x2APIC Support"),
  nxsup: bit(3, "No-Execute Support"),
  gtsup: bit(4, "Guest Translation Support"),
  iasup: bit(6, "INVALIDATE_IOMMU_ALL Support"),
  gasup: bit(7, "Guest virtual APIC Support"),
  hesup: bit(8, "Hardware Error Registers Support"),
  pcsup: bit(9, "Performance Counters Support"),
  hats: bits(11, 10, "Host Address Translation Size"),
  gats: bits(13, 12, "Guest Address Translation Size"),
  smifsup: bits(17, 16, "SMI Filter Support"),
  smifrc: bits(20, 18, "SMI Filter Register Count"),
  gamsup: bits(23, 21, "Guest virtual APIC Modes Support", {
    values: { 0: "none", 1: "guest-mode entries" },
  }),
  msicapmmiosup: bit(46, "MSI Capability MMIO Support"),
  viommusup: bit(55, "Virtualized IOMMU Support"),
  forcephydest: bit(62, "Force Physical Destination"),
  snpsup: bit(63, "SNP Support"),
});

export const extendedFeature2 = register(
  "amdvi-extended-feature-2",
  "Extended Feature 2 Register",
  "MMIO 01A0h",
  {
    gappidis: bit(4, "Guest APIC Physical Processor Interrupt Disable Support"),
    snpavicsup: bits(7, 5, "SNP AVIC Support"),
    numintremapsup: bits(9, 8, "Number of Interrupts Remapped Support", { values: { 0: "512", 1: "2048" } }),
    htrangeignore: bit(11, "HyperTransport Range Ignore"),
  },
);

export const status = register("amdvi-status", "Status Register", "MMIO 2020h", {
  eventoverflow: bit(0, "Event Log Overflow"),
  eventlogint: bit(1, "Event Log Interrupt"),
  comwaitint: bit(2, "Completion Wait Interrupt"),
  eventlogrun: bit(3, "Event Log Running"),
  cmdbufrun: bit(4, "Command Buffer Running"),
  pproverflow: bit(5, "PPR Log Overflow"),
  pprint: bit(6, "PPR Log Interrupt"),
  pprrun: bit(7, "PPR Log Running"),
  galogrun: bit(8, "Guest Log Running"),
  galogoverflow: bit(9, "Guest Log Overflow"),
  galogint: bit(10, "Guest Log Interrupt"),
});

/** INT_CAP_XT_GEN, INT_CAP_XT_PPR and INT_CAP_XT_GA: where the unit's own interrupts go while IntCapXTEn is 1. */
export const interruptCapability = register(
  "amdvi-interrupt-capability",
  "x2APIC Interrupt Control Register",
  "MMIO 0170h",
  {
    dm: bit(2, "Destination Mode"),
    dest: bits(31, 8, "Destination 23:0"),
    vector: bits(39, 32, "Vector"),
    dlm: bit(40, "Delivery Mode", { values: { 0: "fixed", 1: "arbitrated" } }),
    desthigh: bits(63, 56, "Destination 31:24"),
  },
);

function at(offset: number, access: Access, layout: Layout, title = layout.title): Register {
  return { offset, width: 64, access, title, layout };
}

/** A register that the model keeps and does not act on. */
function kept(offset: number, title: string): Register {
  return { offset, width: 64, access: "RW", title };
}

/** The register file. */
export const registers = {
  DEV_TAB_BASE: at(0x00, "RW", deviceTableBase),
  CMD_BUF_BASE: at(0x08, "RW", ringBase, "Command Buffer Base Address Register"),
  EVT_LOG_BASE: at(0x10, "RW", ringBase, "Event Log Base Address Register"),
  CONTROL: at(0x18, "RW", control),
  EXCL_BASE: kept(0x20, "Exclusion Base Register"),
  EXCL_LIMIT: kept(0x28, "Exclusion Range Limit Register"),
  EFR: at(0x30, "RO", extendedFeature),
  PPR_LOG_BASE: at(0x38, "RW", ringBase, "PPR Log Base Address Register"),
  HW_EVT_HI: kept(0x40, "Hardware Event Upper Register"),
  HW_EVT_LO: kept(0x48, "Hardware Event Lower Register"),
  HW_EVT_STATUS: kept(0x50, "Hardware Event Status Register"),
  GA_LOG_BASE: at(0xe0, "RW", ringBase, "Guest virtual APIC Log Base Address Register"),
  GA_LOG_TAIL_ADDR: at(0xe8, "RW", galogTailAddress),
  INT_CAP_XT_GEN: at(0x170, "RW", interruptCapability, "x2APIC Interrupt Control Register, general"),
  INT_CAP_XT_PPR: at(0x178, "RW", interruptCapability, "x2APIC Interrupt Control Register, PPR log"),
  INT_CAP_XT_GA: at(0x180, "RW", interruptCapability, "x2APIC Interrupt Control Register, guest log"),
  EFR2: at(0x1a0, "RO", extendedFeature2),
  CMD_BUF_HEAD: at(0x2000, "RW", ringPointer, "Command Buffer Head Pointer Register"),
  CMD_BUF_TAIL: at(0x2008, "RW", ringPointer, "Command Buffer Tail Pointer Register"),
  EVT_LOG_HEAD: at(0x2010, "RW", ringPointer, "Event Log Head Pointer Register"),
  EVT_LOG_TAIL: at(0x2018, "RW", ringPointer, "Event Log Tail Pointer Register"),
  STATUS: {
    ...at(0x2020, "RW1C", status),
    fixed: ["eventlogrun", "cmdbufrun", "pprrun", "galogrun"],
  },
  PPR_LOG_HEAD: at(0x2030, "RW", ringPointer, "PPR Log Head Pointer Register"),
  PPR_LOG_TAIL: at(0x2038, "RW", ringPointer, "PPR Log Tail Pointer Register"),
  GA_LOG_HEAD: at(0x2040, "RW", galogPointer, "GALog Head Pointer Register"),
  GA_LOG_TAIL: at(0x2048, "RW", galogPointer, "GALog Tail Pointer Register"),
} as const satisfies Record<string, Register>;

export type RegisterName = keyof typeof registers;
