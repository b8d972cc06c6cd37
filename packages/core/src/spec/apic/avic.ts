import { cite } from "../cite.ts";
import { bit, bits, layout } from "../layout.ts";

export const avicPhysicalEntry = layout({
  name: "avic-physical-entry",
  title: "AVIC physical APIC ID table entry",
  width: 64,
  section: cite("apm", "15.29.4"),
  reserved: "avic.physical.reserved",
  fields: {
    host: bits(11, 0, "Host physical APIC ID"),
    backing: bits(51, 12, "Backing page address", { scale: 12 }),
    galogintr: bit(61, "GA log interrupt", { section: cite("linux", "arch/x86/kvm/svm/avic.c") }),
    isrunning: bit(62, "Is Running"),
    v: bit(63, "Valid"),
  },
});

export const avicLogicalEntry = layout({
  name: "avic-logical-entry",
  title: "AVIC logical APIC ID table entry",
  width: 32,
  section: cite("apm", "15.29.4"),
  reserved: "avic.logical.reserved",
  fields: { id: bits(7, 0, "Guest physical APIC ID"), v: bit(31, "Valid") },
});

/** Bytes of one entry of the physical and of the logical table. */
export const avicPhysicalEntryBytes = 8;
export const avicLogicalEntryBytes = 4;

/** A write of a host APIC id rings that processor's doorbell. */
export const avicDoorbellMsr = 0xc001011b;

/** Exit codes of other intercepts that have to do with interrupts (APM vol. 2 appendix C). */
export const svmExitCodes = { interrupt: 0x60, virtualInterrupt: 0x64, hlt: 0x78, msr: 0x7c } as const;

/** Exit codes of an intercept that AVIC could not avoid. */
export const avicExitCodes = { incompleteIpi: 0x401, noAcceleration: 0x402 } as const;

/** Why an IPI was left to the hypervisor: EXITINFO2 bits 63:32. */
export const avicIncompleteIpi = {
  invalidInterruptType: 0,
  targetNotRunning: 1,
  invalidTarget: 2,
  invalidBackingPage: 3,
  invalidVector: 4,
} as const;

/** The highest guest APIC id that AVIC can address, by mode. */
export const avicMaximumId = { xavic: 0xfe, x2avic: 0x1ff, x2avicExtended: 0xfff } as const;
