import { cite } from "../cite.ts";
import { bit, bits, layout } from "../layout.ts";

/** VMCS field encodings that virtual interrupts use. */
export const vmcsFields = {
  postedInterruptVector: 0x0002,
  lastPidPointerIndex: 0x0008,
  guestInterruptStatus: 0x0810,
  virtualApicAddress: 0x2012,
  postedDescriptorAddress: 0x2016,
  eoiExitBitmap0: 0x201c,
  eoiExitBitmap1: 0x201e,
  eoiExitBitmap2: 0x2020,
  eoiExitBitmap3: 0x2022,
  pidPointerTable: 0x2042,
  tprThreshold: 0x401c,
} as const;

export const guestInterruptStatus = layout({
  name: "vmx-guest-interrupt-status",
  title: "Guest interrupt status",
  width: 16,
  section: cite("sdm", "25.4.2"),
  fields: {
    rvi: bits(7, 0, "Requesting Virtual Interrupt"),
    svi: bits(15, 8, "Servicing Virtual Interrupt"),
  },
});

/** An entry of the table that IPI virtualization looks up by APIC id. */
export const pidPointer = layout({
  name: "vmx-pid-pointer",
  title: "PID-pointer table entry",
  width: 64,
  section: cite("sdm", "30.1.6"),
  reserved: "vmx.ipi.pointer-reserved",
  fields: {
    v: bit(0, "Valid"),
    pida: bits(63, 6, "Posted-interrupt descriptor address", { scale: 6 }),
  },
});

/** NDST of a posted-interrupt descriptor while the processor's APIC is in xAPIC mode. */
export const xapicNotification = layout({
  name: "xapic-ndst",
  title: "Notification Destination, xAPIC mode",
  width: 32,
  section: cite("vtd", "9.11"),
  reserved: "vtd.pid.xapic-destination",
  fields: { id: bits(15, 8, "APIC ID") },
});

/** Offsets in the 4-KByte virtual-APIC page. */
export const virtualApicPage = {
  vtpr: 0x80,
  vppr: 0xa0,
  veoi: 0xb0,
  visr: 0x100,
  vtmr: 0x180,
  virr: 0x200,
  vicrLow: 0x300,
  vicrHigh: 0x310,
  /** The high half of the ICR where it is one MSR: the 64 bits stand together. */
  vicrWideHigh: 0x304,
  selfIpi: 0x3f0,
} as const;

/** Bytes from one 32-bit register of the virtual-APIC page to the next. */
export const virtualApicStride = 16;

/** Basic exit reasons that take part in the virtual interrupt's path (SDM appendix C). */
export const vmxExitReasons = {
  externalInterrupt: 1,
  interruptWindow: 7,
  hlt: 12,
  msrWrite: 32,
  tprBelowThreshold: 43,
  apicAccess: 44,
  virtualizedEoi: 45,
  /** EPT misconfiguration: what KVM has the entries of an emulated device's memory give. */
  mmio: 49,
  apicWrite: 56,
} as const;
