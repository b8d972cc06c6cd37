import type { RuleId } from "../../spec/rules.ts";
import type { Ending } from "../decision.ts";
import type { DecidedStep } from "./decided.ts";
import type { Touched } from "./step.ts";
import type { Structure } from "./structures.ts";

/** An interrupt request, as it arrived at a unit; int32. */
export interface Request {
  /** 16 bits; -1 if unknown. */
  readonly requester: number;
  readonly address: number;
  readonly data: number;
  /** Whose it is. */
  readonly source: string;
}

/** The entry that a unit looked at. */
export interface SeenEntry {
  readonly index: number;
  readonly cached: boolean;
  readonly words: Int32Array;
}

/** The remapping unit of a machine that runs, asked what it was that it did. */
export interface LiveUnit {
  /** As Linux names it. */
  readonly name: string;
  /** By which rule it does what it does. */
  readonly rules: Readonly<Record<"remapped" | "posted" | "recorded" | "completed" | "ownInterrupt", RuleId>>;
  /** That it keeps a fault for software, in a clause. */
  readonly recording: string;
  /** The decision on a request, step by step. */
  decided(
    request: Request,
    entry: SeenEntry | undefined,
    ending: Ending,
    result: string,
  ): readonly DecidedStep[];
  /** By which rule it let a request pass. */
  passedBy(request: Request): RuleId;
  /** By which rule it blocked the last one that it blocked. */
  blockedBy(): RuleId;
  /** A write of a register, before it acts; the register's name, and what was written. */
  register(offset: number, low: number, high: number): { readonly name: string; readonly touched: Touched[] };
  /** The entry that a request names, as it lies in memory. */
  entry(index: number, requester: number): Structure;
  /** The structures in memory that an invalidation is about; of one that is about all, none. */
  invalidated(first: number, count: number, device: number, deviceEntry: boolean): Structure[];
  /** Entries that are not all zeros, of the first ones of its tables. @param requesters who has a table. */
  unseen(requesters: readonly number[], first: number): Structure[];
  /** What the unit has recorded of the fault that it has just had, as far as software can read it there. */
  record(reason: number, requester: number): Touched[];
}
