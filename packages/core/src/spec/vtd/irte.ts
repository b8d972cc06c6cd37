import { cite } from "../cite.ts";
import { bit, bits, layout, scattered } from "../layout.ts";
import { deliveryModes } from "../msi/message.ts";

/** Bytes of one IRTE. */
export const irteBytes = 16;

const present = bit(0, "Present", { linux: "present" });
const faultProcessingDisable = bit(1, "Fault Processing Disable", { linux: "fpd" });
const available = bits(11, 8, "Available to software", { linux: "avail" });
const mode = {
  linux: "pst",
  values: { 0: "remapped", 1: "posted" },
};
const source = {
  sid: bits(79, 64, "Source Identifier", { linux: "sid" }),
  sq: bits(81, 80, "Source-id Qualifier", {
    linux: "sq",
    values: { 0: "all 16 bits", 1: "ignore bit 2", 2: "ignore bits 2:1", 3: "ignore bits 2:0" },
  }),
  svt: bits(83, 82, "Source Validation Type", {
    linux: "svt",
    values: { 0: "none", 1: "source id and SQ", 2: "bus range SID[15:8] to SID[7:0]" },
    illegal: { values: [3], rule: "vtd.irte.svt" },
  }),
};

/** An IRTE with IM=0. */
export const irteRemapped = layout({
  name: "irte-remapped",
  title: "Interrupt Remapping Table Entry, remapped",
  width: 128,
  section: cite("vtd", "9.9"),
  reserved: "vtd.irte.reserved",
  fields: {
    p: present,
    fpd: faultProcessingDisable,
    dm: bit(2, "Destination Mode", { linux: "dst_mode", values: { 0: "physical", 1: "logical" } }),
    rh: bit(3, "Redirection Hint", { linux: "redir_hint" }),
    tm: bit(4, "Trigger Mode", { linux: "trigger_mode", values: { 0: "edge", 1: "level" } }),
    dlm: bits(7, 5, "Delivery Mode", {
      linux: "dlvry_mode",
      values: deliveryModes,
      illegal: { values: [3, 6], rule: "vtd.irte.delivery-mode" },
    }),
    avail: available,
    im: bit(15, "IRTE Mode", {
      ...mode,
      reservedWhen: [{ bits: [15, 15], when: { pi: 0 }, rule: "vtd.irte.mode-unsupported" }],
    }),
    v: bits(23, 16, "Vector", { linux: "vector" }),
    dst: bits(63, 32, "Destination ID", {
      linux: "dest_id",
      reservedWhen: [
        { bits: [39, 32], when: { eime: 0 }, rule: "vtd.irte.xapic-destination" },
        { bits: [63, 48], when: { eime: 0 }, rule: "vtd.irte.xapic-destination" },
      ],
    }),
    ...source,
  },
  constraints: [{ rule: "vtd.irte.smi-vector", given: { dlm: [2] }, requires: { v: [0] } }],
});

/** An IRTE with IM=1. */
export const irtePosted = layout({
  name: "irte-posted",
  title: "Interrupt Remapping Table Entry, posted",
  width: 128,
  section: cite("vtd", "9.10"),
  reserved: "vtd.irte.posted-reserved",
  fields: {
    p: present,
    fpd: faultProcessingDisable,
    avail: available,
    urg: bit(14, "Urgent", { linux: "p_urgent" }),
    im: bit(15, "IRTE Mode", {
      ...mode,
      reservedWhen: [{ bits: [15, 15], when: { pi: 0 }, rule: "vtd.irte.mode-unsupported" }],
    }),
    vv: bits(23, 16, "Virtual Vector", { linux: "p_vector" }),
    pda: scattered(
      [
        [63, 38],
        [127, 96],
      ],
      "Posted Descriptor Address",
      { linux: "pda_l,pda_h", scale: 6, bounded: "vtd.irte.descriptor-address" },
    ),
    ...source,
  },
});

/** The 64-byte descriptor that posted IRTEs point to. Hardware never caches it. */
export const postedDescriptor = layout({
  name: "posted-descriptor",
  title: "Posted Interrupt Descriptor",
  width: 512,
  section: cite("vtd", "9.11"),
  reserved: "vtd.pid.reserved",
  fields: {
    pir: bits(255, 0, "Posted Interrupt Requests, one bit a vector", { linux: "pir" }),
    on: bit(256, "Outstanding Notification", { linux: "notifications.ON" }),
    sn: bit(257, "Suppress Notification", { linux: "notifications.SN" }),
    nv: bits(279, 272, "Notification Vector", { linux: "nv" }),
    ndst: bits(319, 288, "Notification Destination", {
      linux: "ndst",
      reservedWhen: [
        { bits: [295, 288], when: { eime: 0 }, rule: "vtd.pid.xapic-destination" },
        { bits: [319, 304], when: { eime: 0 }, rule: "vtd.pid.xapic-destination" },
      ],
    }),
    software: bits(511, 320, "Available to software"),
  },
});
