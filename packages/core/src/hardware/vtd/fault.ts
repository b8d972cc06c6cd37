import type { RuleId } from "../../spec/rules.ts";
import { type FaultName, type FaultReason, faultReasons } from "../../spec/vtd/faults.ts";

interface Common {
  /** FRCD.FR. */
  readonly reason: number;
  readonly rule: RuleId;
  /** bus:device.function as 16 bits, or -1 if unknown. */
  readonly requester: number;
  /** The request's address bits 31:0 and data, unsigned. */
  readonly address: number;
  readonly data: number;
  /** Whether a fault record was written; false when FPD, a full log or the unit's habits kept it out. */
  readonly recorded: boolean;
}

/** Why a request was blocked, with what was known when it was. */
export type VtdFault =
  | (Common & { readonly name: Exclude<FaultName, IndexedName> })
  | (Common & { readonly name: "indexOutOfRange" | "tableAccess"; readonly index: number })
  | (Common & { readonly name: EntryName; readonly index: number; readonly entry: bigint });

type EntryName = "notPresent" | "entryReserved" | "sidMismatch" | "descriptorAccess" | "descriptorReserved";
type IndexedName = EntryName | "indexOutOfRange" | "tableAccess";

/** Builds the fault of a name from the evidence that the unit kept. */
export function faultOf(
  name: FaultName,
  evidence: Omit<Common, "reason" | "rule"> & { readonly index: number; readonly entry: bigint },
): VtdFault {
  const { code, rule, indexed }: FaultReason = faultReasons[name];
  const { index, entry, ...rest } = evidence;
  const common = { reason: code, rule, ...rest };
  if (!indexed) return { ...common, name: name as Exclude<FaultName, IndexedName> };
  if (name === "indexOutOfRange" || name === "tableAccess") return { ...common, name, index };
  return { ...common, name: name as EntryName, index, entry };
}
