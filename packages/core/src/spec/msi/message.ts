import { cite } from "../cite.ts";
import { bit, bits, layout, scattered } from "../layout.ts";

/** Delivery modes as they stand in message data, IRTEs, ICRs and LVTs. */
export const deliveryModes = {
  0: "fixed",
  1: "lowest priority",
  2: "SMI",
  4: "NMI",
  5: "INIT",
  7: "ExtINT",
} as const;

const destinationMode = bit(2, "Destination Mode", { values: { 0: "physical", 1: "logical" } });
const redirectionHint = bit(3, "Redirection Hint");
const prefix = bits(31, 20, "Fixed prefix");

/** Address of a compatibility-format message, 64 bits. */
export const msiAddress = layout({
  name: "msi-address",
  title: "MSI address, compatibility format",
  width: 64,
  section: cite("sdm", "11.11.1"),
  reserved: "msi.address.reserved",
  fields: {
    dm: destinationMode,
    rh: redirectionHint,
    format: bit(4, "Interrupt Format", { values: { 0: "compatibility", 1: "remappable" } }),
    dst: bits(19, 12, "Destination ID"),
    prefix,
    dsthigh: bits(63, 40, "Destination ID 31:8", { section: cite("kvm", "KVM_CAP_X2APIC_API") }),
  },
  constraints: [{ rule: "msi.address.prefix", given: {}, requires: { prefix: [0xfee] } }],
});

/** Address of a compatibility-format message whose destination is 15 bits wide, for a guest whose hypervisor says so. */
export const msiAddressExtended = layout({
  name: "msi-address-extended",
  title: "MSI address, extended destination id",
  width: 64,
  section: cite("kvm", "KVM_FEATURE_MSI_EXT_DEST_ID"),
  reserved: "msi.address.reserved",
  fields: {
    dm: destinationMode,
    rh: redirectionHint,
    format: bit(4, "Interrupt Format", { values: { 0: "compatibility", 1: "remappable" } }),
    dst: scattered(
      [
        [19, 12],
        [11, 5],
      ],
      "Destination ID 14:0",
    ),
    prefix,
  },
  constraints: [{ rule: "msi.address.prefix", given: {}, requires: { prefix: [0xfee] } }],
});

/** Data of a compatibility-format message. */
export const msiData = layout({
  name: "msi-data",
  title: "MSI data, compatibility format",
  width: 32,
  section: cite("sdm", "11.11.2"),
  reserved: "msi.data.reserved",
  fields: {
    v: bits(7, 0, "Vector"),
    dlm: bits(10, 8, "Delivery Mode", {
      values: deliveryModes,
      illegal: { values: [3, 6], rule: "msi.data.delivery-mode" },
    }),
    level: bit(14, "Level", { values: { 0: "deassert", 1: "assert" } }),
    tm: bit(15, "Trigger Mode", { values: { 0: "edge", 1: "level" } }),
  },
});

/** Low 32 bits of a remappable-format message's address: a handle in place of a destination. */
export const msiRemappableAddress = layout({
  name: "msi-remappable-address",
  title: "MSI address, remappable format",
  width: 32,
  section: cite("vtd", "5.1.2.2"),
  fields: {
    dontcare: bits(1, 0, "Don't care"),
    shv: bit(3, "Subhandle Valid"),
    format: bit(4, "Interrupt Format", { values: { 0: "compatibility", 1: "remappable" } }),
    handle: scattered(
      [
        [19, 5],
        [2, 2],
      ],
      "Handle",
    ),
    prefix,
  },
  constraints: [{ rule: "msi.address.prefix", given: {}, requires: { prefix: [0xfee] } }],
});

/** Data of a remappable-format message with SHV=1; with SHV=0 the remapping hardware ignores the data. */
export const msiRemappableData = layout({
  name: "msi-remappable-data",
  title: "MSI data, remappable format",
  width: 32,
  section: cite("vtd", "5.1.2.2"),
  reserved: "msi.remappable.data-reserved",
  fields: { subhandle: bits(15, 0, "Subhandle") },
});

/** Data of a message that AMD-Vi remaps: the delivery-mode field and the vector together are the index. */
export const msiAmdData = layout({
  name: "msi-amd-data",
  title: "MSI data under AMD-Vi remapping",
  width: 32,
  section: cite("amdvi", "2.2.5"),
  reserved: "msi.amdvi.data-reserved",
  fields: {
    index: bits(10, 0, "Interrupt table index"),
    level: bit(14, "Level"),
    tm: bit(15, "Trigger Mode", { values: { 0: "edge", 1: "level" } }),
  },
});
