import type { RuleId } from "../rules.ts";

/** What is known of one fault reason of an interrupt request (VT-d 5.10 §7.1.3, table of fault reason encodings). */
export interface FaultReason {
  /** FRCD.FR. */
  readonly code: number;
  readonly rule: RuleId;
  /** What Linux prints after `[fault reason 0x..]`; `Unknown` from 27h on. */
  readonly linux: string;
  /** FPD=1 in the entry suppresses the record. */
  readonly qualified: boolean;
  /** FRCD.FI holds the interrupt index; otherwise it is undefined. */
  readonly indexed: boolean;
}

/** The reasons by name; the numbers are those of FRCD.FR. */
export const faultReasons = {
  requestReserved: {
    code: 0x20,
    rule: "vtd.ir.request-reserved",
    linux: "Detected reserved fields in the decoded interrupt-remapped request",
    qualified: false,
    indexed: false,
  },
  indexOutOfRange: {
    code: 0x21,
    rule: "vtd.ir.index-out-of-range",
    linux: "Interrupt index exceeded the interrupt-remapping table size",
    qualified: false,
    indexed: true,
  },
  notPresent: {
    code: 0x22,
    rule: "vtd.ir.not-present",
    linux: "Present field in the IRTE entry is clear",
    qualified: true,
    indexed: true,
  },
  tableAccess: {
    code: 0x23,
    rule: "vtd.ir.table-access",
    linux: "Error accessing interrupt-remapping table pointed by IRTA_REG",
    qualified: false,
    indexed: true,
  },
  entryReserved: {
    code: 0x24,
    rule: "vtd.ir.entry-reserved",
    linux: "Detected reserved fields in the IRTE entry",
    qualified: true,
    indexed: true,
  },
  compatibilityBlocked: {
    code: 0x25,
    rule: "vtd.ir.compatibility-blocked",
    linux: "Blocked a compatibility format interrupt request",
    qualified: false,
    indexed: false,
  },
  sidMismatch: {
    code: 0x26,
    rule: "vtd.ir.sid-mismatch",
    linux: "Blocked an interrupt request due to source-id verification failure",
    qualified: true,
    indexed: true,
  },
  descriptorAccess: {
    code: 0x27,
    rule: "vtd.post.descriptor-access",
    linux: "Unknown",
    qualified: true,
    indexed: true,
  },
  descriptorReserved: {
    code: 0x28,
    rule: "vtd.post.descriptor-reserved",
    linux: "Unknown",
    qualified: true,
    indexed: true,
  },
  malformedRequest: {
    code: 0x29,
    rule: "vtd.ir.malformed-request",
    linux: "Unknown",
    qualified: false,
    indexed: false,
  },
  eimRequired: {
    code: 0x2a,
    rule: "vtd.ir.eim-required",
    linux: "Unknown",
    qualified: false,
    indexed: false,
  },
  remappingRequired: {
    code: 0x2b,
    rule: "vtd.ir.remapping-required",
    linux: "Unknown",
    qualified: false,
    indexed: false,
  },
} as const satisfies Record<string, FaultReason>;

export type FaultName = keyof typeof faultReasons;

const byCode = new Map<number, FaultName>(
  (Object.entries(faultReasons) as [FaultName, FaultReason][]).map(([name, reason]) => [reason.code, name]),
);

/** All that is known of the reason with a code that is one of {@link faultReasons}. */
export function faultReasonOf(code: number): FaultReason {
  return faultReasons[byCode.get(code)!];
}

/** The name of a reason code; undefined for a code that is not an interrupt request's. */
export function faultNameOf(code: number): FaultName | undefined {
  return byCode.get(code);
}
