import { cite } from "../cite.ts";
import { type Field, bit, bits, layout, scattered } from "../layout.ts";
import { deliveryModes } from "../msi/message.ts";

/** Byte offsets of the memory-mapped registers. */
export const ioapicOffset = { select: 0x00, window: 0x10, eoi: 0x40 } as const;

/** Values of IOREGSEL; entry n of the redirection table is at `table + 2n` (low) and `table + 2n + 1` (high). */
export const ioapicRegister = { id: 0x00, version: 0x01, arbitration: 0x02, table: 0x10 } as const;

/** The version from which on the EOI register exists. */
export const ioapicEoiVersion = 0x20;

export const ioapicSelect = layout({
  name: "ioapic-select",
  title: "I/O Register Select",
  width: 32,
  section: cite("ioapic", "3.1.1"),
  fields: { register: bits(7, 0, "Register index") },
});

export const ioapicEoi = layout({
  name: "ioapic-eoi",
  title: "EOI Register",
  width: 32,
  section: cite("linux", "arch/x86/kernel/apic/io_apic.c"),
  fields: { v: bits(7, 0, "Vector") },
});

export const ioapicId = layout({
  name: "ioapic-id",
  title: "I/O APIC Identification",
  width: 32,
  section: cite("ioapic", "3.2.1"),
  fields: { id: bits(27, 24, "Identification") },
});

export const ioapicVersion = layout({
  name: "ioapic-version",
  title: "I/O APIC Version",
  width: 32,
  section: cite("ioapic", "3.2.2"),
  fields: { version: bits(7, 0, "Version"), max: bits(23, 16, "Last redirection entry") },
});

export const ioapicArbitration = layout({
  name: "ioapic-arbitration",
  title: "I/O APIC Arbitration",
  width: 32,
  section: cite("ioapic", "3.2.3"),
  fields: { id: bits(27, 24, "Arbitration ID") },
});

const pin = {
  ds: bit(12, "Delivery Status", { values: { 0: "idle", 1: "send pending" } }),
  pol: bit(13, "Polarity", { values: { 0: "active high", 1: "active low" } }),
  rirr: bit(14, "Remote IRR"),
  tm: bit(15, "Trigger Mode", { values: { 0: "edge", 1: "level" } }),
  mask: bit(16, "Mask"),
} as const;

const compatibility = {
  v: bits(7, 0, "Vector"),
  dlm: bits(10, 8, "Delivery Mode", {
    values: deliveryModes,
    illegal: { values: [3, 6], rule: "ioapic.rte.delivery-mode" },
  }),
  dm: bit(11, "Destination Mode", { values: { 0: "physical", 1: "logical" } }),
  ...pin,
} as const;

function format(): Field {
  return bit(48, "Interrupt Format", {
    section: cite("vtd", "5.1.2.1"),
    values: { 0: "compatibility", 1: "remappable" },
  });
}

/** A redirection entry in compatibility format. */
export const ioapicRte = layout({
  name: "ioapic-rte",
  title: "I/O APIC redirection entry, compatibility format",
  width: 64,
  section: cite("ioapic", "3.2.4"),
  reserved: "ioapic.rte.reserved",
  fields: { ...compatibility, format: format(), dst: bits(63, 56, "Destination ID") },
});

/** A redirection entry whose destination is 15 bits wide, for a guest whose hypervisor says so. */
export const ioapicRteExtended = layout({
  name: "ioapic-rte-extended",
  title: "I/O APIC redirection entry, extended destination id",
  width: 64,
  section: cite("kvm", "KVM_FEATURE_MSI_EXT_DEST_ID"),
  reserved: "ioapic.rte.reserved",
  fields: {
    ...compatibility,
    format: format(),
    dst: scattered(
      [
        [63, 56],
        [55, 49],
      ],
      "Destination ID 14:0",
    ),
  },
});

/** A redirection entry in VT-d's remappable format: an interrupt index in place of the destination. */
export const ioapicRteRemappable = layout({
  name: "ioapic-rte-remappable",
  title: "I/O APIC redirection entry, remappable format",
  width: 64,
  section: cite("vtd", "5.1.2.1"),
  reserved: "ioapic.rte.reserved",
  fields: {
    v: bits(7, 0, "Vector, or what software wants to find in an EOI"),
    dlm: bits(10, 8, "Zero in this format"),
    ...pin,
    format: format(),
    index: scattered(
      [
        [63, 49],
        [11, 11],
      ],
      "Interrupt index",
    ),
  },
  constraints: [{ rule: "ioapic.rte.remappable-delivery-mode", given: {}, requires: { dlm: [0] } }],
});

/** A redirection entry behind AMD-Vi: vector and delivery mode together are the table index. */
export const ioapicRteAmd = layout({
  name: "ioapic-rte-amd",
  title: "I/O APIC redirection entry under AMD-Vi remapping",
  width: 64,
  section: cite("amdvi", "2.2.5"),
  fields: {
    index: bits(10, 0, "Interrupt table index"),
    dm: bit(11, "Destination Mode"),
    ...pin,
    dst: bits(63, 56, "Destination ID, not looked at"),
  },
});

/**
 * What the I/O APIC puts on the wire, whatever the format: bits 63:48 become address bits 19:4 and bit 11 address
 * bit 2, so that either a destination or an index arrives where its format expects it.
 */
export const ioapicRteWire = layout({
  name: "ioapic-rte-wire",
  title: "I/O APIC redirection entry, as it is sent",
  width: 64,
  section: cite("vtd", "5.1.2.1"),
  fields: {
    v: bits(7, 0, "Data 7:0"),
    dlm: bits(10, 8, "Data 10:8"),
    dm: bit(11, "Address 2"),
    ...pin,
    upper: bits(63, 48, "Address 19:4"),
  },
});
