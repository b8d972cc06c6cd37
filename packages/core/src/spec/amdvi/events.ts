import { cite } from "../cite.ts";
import { type Field, type Layout, bit, bits, layout, scattered } from "../layout.ts";

/** Bytes of one entry of the event log. */
export const eventBytes = 16;

/** Event codes, by the names that Linux prints. */
export const eventCodes = {
  ILLEGAL_DEV_TABLE_ENTRY: 1,
  IO_PAGE_FAULT: 2,
  DEV_TAB_HARDWARE_ERROR: 3,
  PAGE_TAB_HARDWARE_ERROR: 4,
  ILLEGAL_COMMAND_ERROR: 5,
  COMMAND_HARDWARE_ERROR: 6,
  IOTLB_INV_TIMEOUT: 7,
  INVALID_DEVICE_REQUEST: 8,
  INVALID_PPR_REQUEST: 9,
  EVENT_COUNTER_ZERO: 10,
  RMP_PAGE_FAULT: 13,
  RMP_HW_ERROR: 14,
} as const;

export type EventName = keyof typeof eventCodes;
export type EventCode = (typeof eventCodes)[EventName];

const names = new Map<number, EventName>(
  (Object.entries(eventCodes) as [EventName, number][]).map(([name, code]) => [code, name]),
);

/** The name of an event code; undefined for one that the document does not define. */
export function eventNameOf(code: number): EventName | undefined {
  return names.get(code);
}

/** Flags as Linux prints them: bits 59:48 of the event's first quadword. */
export const eventFlags = {
  gn: 0x001,
  nx: 0x002,
  us: 0x004,
  i: 0x008,
  pr: 0x010,
  rw: 0x020,
  pe: 0x040,
  rz: 0x080,
  tr: 0x100,
} as const;

/** Type of an INVALID_DEVICE_REQUEST; only 5 was held against a public source. */
export const requestTypes = {
  interruptRangeRead: 0,
  pretranslated: 1,
  portIo: 2,
  invalidRangeWrite: 3,
  invalidRead: 4,
  interruptControlAbort: 5,
  reservedInterruptRange: 6,
  systemManagement: 7,
} as const;

const code = bits(63, 60, "Event Code", { values: Object.fromEntries(names) });
const devid = bits(15, 0, "DeviceID");
const address = bits(127, 64, "Address");
const pasid = scattered(
  [
    [47, 32],
    [19, 16],
  ],
  "PASID",
);
const gn = bit(48, "Guest/Nested");
const i = bit(51, "Interrupt");
const rw = bit(53, "Read/Write");
const rz = bit(55, "Reserved bit or illegal level not Zero");
const tr = bit(56, "Translation Request");

function event<Name extends string>(
  name: string,
  title: string,
  section: string,
  fields: Record<Name, Field>,
): Layout<Name> {
  return layout<Name>({ name, title, width: 128, section: cite("amdvi", section), fields });
}

/** What every event has in common: the words that the unit writes, and the flags as Linux prints them. */
export const eventGeneric = event("amdvi-event", "Event log entry", "2.5", {
  devid,
  pasidhigh: bits(19, 16, "PASID 19:16"),
  domainid: bits(47, 32, "Domain ID, or PASID 15:0"),
  flags: bits(59, 48, "Flags"),
  code,
  address,
});

export const illegalDevTableEntry = event(
  "amdvi-illegal-dev-table-entry",
  "ILLEGAL_DEV_TABLE_ENTRY event",
  "2.5.2",
  { devid, pasid, gn, i, rw, rz, tr, code, address },
);

export const ioPageFault = event("amdvi-io-page-fault", "IO_PAGE_FAULT event", "2.5.3", {
  devid,
  pasidhigh: bits(19, 16, "PASID 19:16"),
  domainid: bits(47, 32, "Domain ID, or PASID 15:0 with GN=1"),
  gn,
  nx: bit(49, "No Execute"),
  us: bit(50, "User/Supervisor"),
  i,
  pr: bit(52, "Present, or interrupt remapping enabled"),
  rw,
  pe: bit(54, "Permission indicator"),
  rz,
  tr,
  code,
  address,
});

export const invalidDeviceRequest = event(
  "amdvi-invalid-device-request",
  "INVALID_DEVICE_REQUEST event",
  "2.5.9",
  {
    devid,
    pasid,
    gn,
    tr,
    type: bits(59, 57, "Type", {
      values: {
        0: "read or non-posted write in the interrupt range",
        1: "pretranslated request",
        2: "port I/O request",
        3: "posted write to an invalid range",
        4: "invalid read or non-posted write",
        5: "posted write to the interrupt or EOI range with IntCtl=00b",
        6: "posted write to a reserved interrupt range",
        7: "system management request, or an invalid type",
      },
    }),
    code,
    address,
  },
);

/** The layouts of the events that interrupts cause, by code; every other event has the common one. */
export const eventLayouts: Readonly<Record<number, Layout>> = {
  [eventCodes.ILLEGAL_DEV_TABLE_ENTRY]: illegalDevTableEntry,
  [eventCodes.IO_PAGE_FAULT]: ioPageFault,
  [eventCodes.INVALID_DEVICE_REQUEST]: invalidDeviceRequest,
};

/** The layout that decodes an event. */
export function eventLayoutOf(code: number): Layout {
  return eventLayouts[code] ?? eventGeneric;
}
