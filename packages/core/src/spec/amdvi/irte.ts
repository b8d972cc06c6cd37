import { cite } from "../cite.ts";
import { bit, bits, layout, scattered } from "../layout.ts";

/** Bytes of an interrupt table entry with GAEn at 0 and at 1. */
export const irteBytes = { legacy: 4, ga: 16 } as const;

/** Where the IRR stands in a vAPIC backing page: 32 vectors a word, the words this many bytes apart. */
export const vapicIrr = { offset: 0x200, stride: 0x10 } as const;

const remapen = bit(0, "Remap Enable", { linux: "valid" });
const supiopf = bit(1, "Suppress I/O Page Fault event", { linux: "no_fault" });
const inttype = bits(4, 2, "Interrupt Type", {
  linux: "int_type",
  values: { 0: "fixed", 1: "arbitrated" },
  illegal: { values: [2, 3, 4, 5, 6, 7], rule: "amdvi.irte.int-type" },
});
const rqeoi = bit(5, "Request EOI", { linux: "rq_eoi" });
const dm = bit(6, "Destination Mode", { linux: "dm", values: { 0: "physical", 1: "logical" } });
const modes = { linux: "guest_mode", values: { 0: "remapped", 1: "guest" } };
const destination = scattered(
  [
    [31, 8],
    [127, 120],
  ],
  "Destination",
  {
    linux: "destination",
    reservedWhen: [
      { bits: [31, 16], when: { xten: 0 }, rule: "amdvi.irte.xapic-destination" },
      { bits: [127, 120], when: { xten: 0 }, rule: "amdvi.irte.xapic-destination" },
    ],
  },
);
const vector = bits(71, 64, "Vector", { linux: "vector" });
const gatag = bits(63, 32, "Guest APIC Tag", { linux: "ga_tag" });

/** An entry of 32 bits: Control.GAEn is 0. */
export const irte32 = layout({
  name: "amdvi-irte-32",
  title: "Interrupt Table Entry, 32 bits",
  width: 32,
  section: cite("amdvi", "2.2.5.2"),
  reserved: "amdvi.irte.reserved",
  fields: {
    remapen,
    supiopf,
    inttype,
    rqeoi,
    dm,
    guestmode: bit(7, "Guest Mode", { ...modes, illegal: { values: [1], rule: "amdvi.irte.guest-mode" } }),
    dest: bits(15, 8, "Destination", { linux: "destination" }),
    vector: bits(23, 16, "Vector", { linux: "vector" }),
  },
});

/** An entry of 128 bits with GuestMode=0: Control.GAEn is 1. */
export const irteRemapped128 = layout({
  name: "amdvi-irte-remapped",
  title: "Interrupt Table Entry, 128 bits, remapped",
  width: 128,
  section: cite("amdvi", "2.2.5.2"),
  reserved: "amdvi.irte.reserved",
  fields: {
    remapen,
    supiopf,
    inttype,
    rqeoi,
    dm,
    guestmode: bit(7, "Guest Mode", modes),
    dest: destination,
    gatag,
    vector,
  },
});

/** An entry of 128 bits with GuestMode=1: the interrupt is posted to a virtual CPU. */
export const irteGuest = layout({
  name: "amdvi-irte-guest",
  title: "Interrupt Table Entry, 128 bits, guest mode",
  width: 128,
  section: cite("amdvi", "2.2.5.3"),
  reserved: "amdvi.irte.reserved",
  fields: {
    remapen,
    supiopf,
    galogintr: bit(2, "Guest APIC Log Interrupt", { linux: "ga_log_intr" }),
    gappidis: bit(5, "Guest APIC Physical Processor Interrupt Disable"),
    isrun: bit(6, "Is Running", { linux: "is_run" }),
    guestmode: bit(7, "Guest Mode", modes),
    dest: destination,
    gatag,
    vector,
    root: bits(115, 76, "Guest vAPIC Root Pointer", { linux: "ga_root_ptr", scale: 12 }),
  },
});
