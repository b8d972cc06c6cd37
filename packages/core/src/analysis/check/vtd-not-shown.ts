import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import { decode } from "../../spec/codec.ts";
import { extendedCapability } from "../../spec/vtd/registers.ts";
import type { NotChecked } from "./hazard.ts";

/** What a trace turned out to hold. */
export interface TraceFacts {
  /** Entries that were invalidated after their last use, or without any. */
  readonly unseenEntries: number;
  /** Writes to GCMD. */
  readonly commands: number;
  readonly registerWrites: number;
  /** Writes to a processor's IA32_APIC_BASE. */
  readonly apicBases: number;
  /** Requests that QEMU looked up for KVM's routes. */
  readonly lookups: number;
  /** Lines of invalidations and register writes that could not be read. */
  readonly damaged: number;
  /** The unit was set up before the trace began. */
  readonly startsLate: boolean;
}

export const noInvalidations =
  "the trace records no invalidation (vtd_inv_desc, vtd_inv_desc_iec): whether one was made cannot be told";

/** What no trace shows of a VT-d unit, and what this one does not. */
export function notShown(profile: VtdProfile, facts: TraceFacts): NotChecked[] {
  const rows: NotChecked[] = [
    {
      rule: "vtd.check.entry-changed",
      why: "writes to the table are not in a trace, and a change shows at the entry's next use: entries that were invalidated and not used again",
      count: facts.unseenEntries,
    },
    {
      rule: "vtd.gcmd.one-bit",
      why: "what software read from a register is not in a trace: whether it waited for GSTS after each command",
      count: facts.commands,
    },
  ];
  const add = (rule: NotChecked["rule"], why: string, count: number | null = null): void => {
    rows.push({ rule, why, count });
  };
  if (decode(extendedCapability, profile.extendedCapability).c === 0) {
    add(
      "vtd.memory.incoherent",
      "flushes of the CPU's cache are not in a trace: whether table and queue were flushed",
    );
  }
  if (facts.apicBases === 0) {
    add(
      "vtd.check.x2apic-first",
      "the trace records no cpu_set_apic_base: when processors were switched to x2APIC mode",
    );
  }
  if (facts.registerWrites === 0) {
    add(null, "the trace records no vtd_reg_write: how the unit was set up");
  }
  if (facts.damaged > 0) {
    add(null, "lines that could not be read, taken for what does software no wrong", facts.damaged);
  }
  if (facts.startsLate) add(null, "the trace starts after the unit was set up: what was done before");
  if (facts.lookups > 0) {
    add(null, "requests that QEMU only looked up for KVM's routes: no device sent them", facts.lookups);
  }
  return rows;
}
