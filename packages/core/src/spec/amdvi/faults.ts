import type { RuleId } from "../rules.ts";
import { type EventCode, eventCodes, eventFlags, requestTypes } from "./events.ts";

/** What keeps a fault out of the event log: nothing, DTE.IG, or DTE.IG and IRTE.SupIOPF. */
type Suppression = "never" | "device" | "entry";

/** What is known of one reason for which an interrupt request is blocked. */
export interface FaultReason {
  /** A small number by which events and state name the reason. */
  readonly number: number;
  readonly rule: RuleId;
  /** The event that is logged; null where the request is aborted without one. */
  readonly event: EventCode | null;
  /** The event's flags, as Linux prints them. */
  readonly flags: number;
  readonly suppressed: Suppression;
  /** What is known when the request is blocked: nothing, the device's entry, the index too, the interrupt's entry too. */
  readonly known: "request" | "device" | "index" | "entry";
}

const {
  ILLEGAL_DEV_TABLE_ENTRY,
  IO_PAGE_FAULT,
  DEV_TAB_HARDWARE_ERROR,
  PAGE_TAB_HARDWARE_ERROR,
  INVALID_DEVICE_REQUEST,
} = eventCodes;

const typeShift = 9;

const illegalDevice = { event: ILLEGAL_DEV_TABLE_ENTRY, flags: eventFlags.i, suppressed: "never" } as const;
const silent = { event: null, flags: 0, suppressed: "never" } as const;
const pageFault = { event: IO_PAGE_FAULT, flags: eventFlags.i, suppressed: "entry", known: "entry" } as const;
const tableError = { event: PAGE_TAB_HARDWARE_ERROR, flags: eventFlags.i, suppressed: "never" } as const;

/** The reasons by name: the one table from faults to event codes. */
export const faultReasons = {
  requesterUnknown: { number: 1, rule: "amdvi.ir.requester-unknown", ...silent, known: "request" },
  malformedRequest: {
    number: 2,
    rule: "amdvi.ir.malformed-request",
    event: INVALID_DEVICE_REQUEST,
    flags: requestTypes.interruptRangeRead << typeShift,
    suppressed: "never",
    known: "request",
  },
  deviceOutOfRange: { number: 3, rule: "amdvi.dte.out-of-range", ...illegalDevice, known: "request" },
  deviceTableAccess: {
    number: 4,
    rule: "amdvi.dte.access",
    event: DEV_TAB_HARDWARE_ERROR,
    flags: eventFlags.i,
    suppressed: "never",
    known: "request",
  },
  deviceReserved: {
    number: 5,
    rule: "qemu.amdvi.dte-reserved",
    event: ILLEGAL_DEV_TABLE_ENTRY,
    flags: 0,
    suppressed: "never",
    known: "device",
  },
  smiRefused: { number: 6, rule: "qemu.amdvi.smi-refused", ...silent, known: "device" },
  typeReserved: { number: 7, rule: "amdvi.ir.type-reserved", ...silent, known: "device" },
  typeLogical: { number: 8, rule: "amdvi.ir.type-logical", ...silent, known: "device" },
  typeFiltered: { number: 9, rule: "amdvi.ir.type-filtered", ...silent, known: "device" },
  controlAbort: {
    number: 10,
    rule: "amdvi.ir.intctl-abort",
    event: INVALID_DEVICE_REQUEST,
    flags: requestTypes.interruptControlAbort << typeShift,
    suppressed: "never",
    known: "device",
  },
  controlReserved: { number: 11, rule: "amdvi.dte.intctl-reserved", ...illegalDevice, known: "device" },
  tableLength: { number: 12, rule: "amdvi.dte.inttablen", ...illegalDevice, known: "device" },
  indexOutOfRange: {
    number: 13,
    rule: "amdvi.ir.index-out-of-range",
    ...pageFault,
    suppressed: "device",
    known: "index",
  },
  tableAccess: { number: 14, rule: "amdvi.ir.table-access", ...tableError, known: "index" },
  notEnabled: { number: 15, rule: "amdvi.ir.not-enabled", ...pageFault },
  guestMode: { number: 16, rule: "amdvi.irte.guest-mode", ...pageFault },
  entryReserved: { number: 17, rule: "amdvi.irte.reserved", ...pageFault },
  interruptType: { number: 18, rule: "amdvi.irte.int-type", ...pageFault },
  pageAccess: { number: 19, rule: "amdvi.ga.page-access", ...tableError, known: "entry" },
} as const satisfies Record<string, FaultReason>;

export type FaultName = keyof typeof faultReasons;

const byNumber: FaultName[] = [];
for (const [name, { number }] of Object.entries(faultReasons)) byNumber[number] = name as FaultName;

/** The name of a reason by its number; undefined for 0 and for numbers beyond the table. */
export function faultNameOf(number: number): FaultName | undefined {
  return byNumber[number];
}
