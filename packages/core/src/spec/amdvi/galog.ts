import { cite } from "../cite.ts";
import { bits, layout } from "../layout.ts";

/** Bytes of one entry of the guest virtual APIC log. */
export const galogBytes = 8;

/** Codes of guest log entries. */
export const galogCodes = { guestNotRunning: 1 } as const;

/** An entry of the guest virtual APIC log. */
export const galogEntry = layout({
  name: "amdvi-galog-entry",
  title: "Guest virtual APIC log entry",
  width: 64,
  section: cite("amdvi", "2.7"),
  fields: {
    gatag: bits(31, 0, "Guest APIC Tag"),
    devid: bits(47, 32, "DeviceID"),
    code: bits(63, 60, "Code", { values: { 1: "GUEST_NR" } }),
  },
});
