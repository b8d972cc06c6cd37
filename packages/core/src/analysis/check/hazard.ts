import type { RuleId } from "../../spec/rules.ts";

/** Something in a trace that this hardware does not forgive. */
export interface Hazard {
  readonly rule: RuleId;
  /** The entry: a table index. Null where the hazard is about no entry. */
  readonly index: number | null;
  /** The device whose table it is, as 16 bits; null where the trace does not tell, or there is only one table. */
  readonly requester: number | null;
  /** The line at which hardware would go wrong, from 1. */
  readonly at: number;
  /** The line where it began: the change, the command; null where that is the same. */
  readonly since: number | null;
  /** One sentence: what is there, with its values. */
  readonly found: string;
  /** What the driver has to do. */
  readonly fix: string;
}

/** What a check of a trace yields. */
export interface CheckResult {
  readonly vendor: "intel" | "amd";
  readonly profile: string;
  readonly lines: number;
  /** The first {@link hazardLimit} of them, in the order of `at`. */
  readonly hazards: readonly Hazard[];
  readonly hazardCount: number;
  /** What the trace cannot show, or does not hold, and so was not checked. */
  readonly notChecked: readonly NotChecked[];
  readonly ignored: Readonly<Record<string, number>>;
  readonly skipped: Readonly<Record<string, { readonly count: number; readonly line: number }>>;
}

export interface NotChecked {
  /** The rule that was not checked; null where it is about more than one. */
  readonly rule: RuleId | null;
  readonly why: string;
  /** How often it came up; null where that cannot be told. */
  readonly count: number | null;
}

export const hazardLimit = 1000;
