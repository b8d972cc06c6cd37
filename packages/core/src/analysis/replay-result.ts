import type { Skipped, Vendor } from "../evidence/qemu-trace/index.ts";
import type { RuleId } from "../spec/rules.ts";
import type { Path } from "./path.ts";
import type { Requester } from "./requesters.ts";

/** A request whose outcome in the model is not the one in the trace. */
export interface Disagreement {
  /** The line that shows the outcome; the request's own where the trace shows none. */
  readonly line: number;
  /** What the trace says: a message, a delivery, or `blocked`. */
  readonly expected: string;
  /** What the model did. */
  readonly got: string;
  /** The rule by which the model did it. */
  readonly rule: RuleId;
}

/** What a check was not made for. */
export type Unchecked =
  /** The entry demands source-id verification, and the trace does not give the requester. */
  | "sourceId"
  /** No `apic_deliver_irq` line follows: the interrupt went to KVM, or the event was not recorded. */
  | "delivery"
  /** The request was looked up, and the trace does not show the entry: it was not compared. */
  | "entry"
  /** The trace ends before the request's outcome: it was not compared. */
  | "outcome"
  /** A line of the request could not be read: it was not compared. */
  | "damaged"
  /** The trace has no write to IRTA: where the table lies is assumed, EIME inferred from a decoded entry. */
  | "registers"
  /** DTE.IntTabLen is not in the trace: the index was not held against it. */
  | "tableLength"
  /** DTE.IV, or a pass bit of the DTE, is not in the trace: taken from what became of the request. */
  | "deviceTable"
  /** INVALIDATE_INTERRUPT_TABLE does not name its device in the trace: every device's entries were dropped. */
  | "invalidatedDevice";

export interface ReplayResult {
  readonly vendor: Vendor;
  readonly profile: string;
  readonly lines: number;
  readonly requests: number;
  readonly agreed: number;
  /** The first of them, up to {@link disagreementLimit}. */
  readonly disagreed: readonly Disagreement[];
  /** All of them. */
  readonly disagreedCount: number;
  readonly notChecked: Readonly<Partial<Record<Unchecked, number>>>;
  /** Lines that were not understood, by reason. */
  readonly skipped: Readonly<Record<string, Skipped>>;
  /** Events without a meaning for the comparison, by name. */
  readonly ignored: Readonly<Record<string, number>>;
  readonly requesters: readonly Requester[];
  /** One request step by step, if one was asked for and found. */
  readonly followed?: Path;
}

export const disagreementLimit = 1000;
