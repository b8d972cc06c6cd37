import type { TraceHandler, Vendor } from "../../evidence/qemu-trace/index.ts";
import type { NotChecked } from "./hazard.ts";
import type { HazardList } from "./hazard-list.ts";

/** What the check of one vendor's unit is given. */
export interface CheckContext {
  readonly hazards: HazardList;
  /** Counts a line that cannot be used. */
  skip(reason: string, line: number): void;
}

/** Follows one traced unit and the software that drives it, and names what a real unit would not forgive. */
export interface TraceCheck extends TraceHandler {
  readonly vendor: Vendor;
  readonly profileName: string;
  /** Events that told something of the unit; 0 if there was nothing to check. */
  readonly events: number;
  /**
   * Ends the trace.
   * @param lastLine the number of a last line that may have been cut off, or 0.
   * @returns what the trace did not show.
   */
  finish(lastLine: number): readonly NotChecked[];
}
