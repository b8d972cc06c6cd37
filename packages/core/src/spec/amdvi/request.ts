import { cite } from "../cite.ts";
import { bit, bits, layout } from "../layout.ts";

/** Low 32 bits of the address of an interrupt request, as the unit reads them. */
export const amdviRequestAddress = layout({
  name: "amdvi-request-address",
  title: "Address of an interrupt request",
  width: 32,
  section: cite("amdvi", "2.2.5"),
  fields: {
    dm: bit(2, "Destination Mode", { values: { 0: "physical", 1: "logical" } }),
    rh: bit(3, "Redirection Hint"),
    destination: bits(19, 12, "Destination"),
    prefix: bits(31, 20, "Fixed prefix"),
  },
});

/** DeviceID of the south bridge's IOAPIC, 00:14.0. */
export const southBridgeIoapic = 0x00a0;

/**
 * The address that an interrupt's event carries: the message in the HyperTransport interrupt range. Hardware prints it
 * with bits 63:40 clear or all set. The decoding fits every public sample, no document at hand states it
 * (amdvi.event.interrupt-address).
 */
export const htInterruptAddress = layout({
  name: "amdvi-ht-interrupt-address",
  title: "HyperTransport interrupt address",
  width: 64,
  section: cite("amdvi", "2.5"),
  fields: {
    type: bits(4, 2, "Interrupt type, or index 10:8", {
      values: { 0: "fixed", 1: "arbitrated" },
    }),
    level: bit(5, "Level-triggered"),
    dm: bit(6, "Destination Mode", { values: { 0: "physical", 1: "logical" } }),
    destination: bits(15, 8, "Destination"),
    vector: bits(23, 16, "Vector, or index 7:0"),
    prefix: bits(39, 24, "Interrupt range", { values: { 0xfdf8: "interrupt" } }),
    extension: bits(63, 40, "Copies of the sign, or zero"),
  },
});

export const htPrefix = 0xfdf8;
export const htExtension = 0xffffff;

/** Whether an event's address lies in the HyperTransport interrupt range, in either of its printed forms. */
export function isHtInterruptAddress(address: bigint): boolean {
  const extension = address >> 40n;
  return (
    ((address >> 24n) & 0xffffn) === BigInt(htPrefix) &&
    (extension === 0n || extension === BigInt(htExtension))
  );
}
