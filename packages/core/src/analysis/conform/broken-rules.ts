import { type AmdviDeviation, amdviDeviations } from "../../hardware/amdvi/profile.ts";
import { type VtdDeviation, vtdDeviations } from "../../hardware/vtd/profile.ts";
import type { RuleId } from "../../spec/rules.ts";

/** The name of a profile's flag. */
export type Deviation = VtdDeviation | AmdviDeviation;

/** The rule of the specification that each deviation goes against. */
export const brokenRules: Readonly<Record<Deviation, RuleId>> = {
  compatibilityPasses: "vtd.ir.compatibility-blocked",
  busRangeSwapped: "vtd.ir.sid-mismatch",
  formatBeforeSource: "vtd.ir.sid-mismatch",
  requestAfterEntry: "vtd.ir.request-reserved",
  indexWraps: "vtd.ir.index-out-of-range",
  indexUnbounded: "vtd.ir.index-out-of-range",
  destinationMasked: "vtd.irte.xapic-destination",
  formatUnchecked: "vtd.ir.entry-reserved",
  postingIgnored: "vtd.irte.mode-unsupported",
  faultsNotRecorded: "vtd.fault.record",
  unknownSourcePasses: "vtd.ir.sid-mismatch",
  svtReservedAsMismatch: "vtd.ir.svt-reserved",
  cfiIgnored: "vtd.ir.compatibility-pass",
  emptyWaitRefused: "vtd.qi.fence",
  descriptorWidthIgnored: "vtd.qi.width",
  queueErrorUntold: "vtd.qi.reserved",
  queueResumesAtTail: "vtd.qi.halt",
  extendedModeTaken: "vtd.gcmd.unsupported",
  invalidationUnchecked: "vtd.qi.reserved",
  eventUpperIgnored: "vtd.fault.event",
  eventPendingKept: "vtd.fault.event",
  enableIgnored: "amdvi.ir.disabled",
  deviceTableUnbounded: "amdvi.dte.out-of-range",
  deviceReservedChecked: "amdvi.ir.map-invalid",
  deviceReservedWide: "amdvi.ir.map-invalid",
  passZeroed: "amdvi.ir.intctl-pass",
  tableUnbounded: "amdvi.ir.index-out-of-range",
  faultsNotLogged: "amdvi.event.log",
  rqEoiAsHint: "amdvi.ir.hint",
  triggerEdge: "amdvi.ir.trigger",
  smiRefused: "amdvi.ir.smi-passes",
  unknownRequesterIsIoapic: "amdvi.ir.requester-unknown",
  entryUnchecked: "amdvi.irte.reserved",
  guestModeRefused: "amdvi.ga.post",
  typeFromData: "amdvi.ir.index-2048",
  xtByCapability: "amdvi.irte.xapic-destination",
  commandsContinue: "amdvi.command.illegal",
  completionInterruptAlways: "amdvi.command.completion-interrupt",
  eventLogDead: "amdvi.event.log",
  statusKept: "amdvi.event.interrupt-once",
};

/** The rule that describes a deviation. */
export function ruleOfDeviation(name: Deviation): RuleId {
  return ({ ...vtdDeviations, ...amdviDeviations } as Readonly<Record<Deviation, RuleId>>)[name];
}
