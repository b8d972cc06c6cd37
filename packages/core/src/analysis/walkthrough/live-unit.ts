import type { RuleId } from "../../spec/rules.ts";
import type { Ending } from "../decision.ts";
import type { Bystanders } from "./bystanders.ts";
import type { DecidedStep } from "./decided.ts";
import type { Touched } from "./step.ts";
import type { Structure } from "./structures.ts";
import type { Told } from "./told.ts";

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

/** What a unit posted, and whom it told of it. */
export interface Posting {
  /** Of the descriptor, or of the backing page. */
  readonly address: number;
  readonly vector: number;
  /** A notification was sent, or the doorbell rung. */
  readonly notified: boolean;
  /** URG=1; AMD-Vi: an entry was written to the guest virtual APIC log. */
  readonly urgent: boolean;
}

/** What a unit was told to forget. */
export interface Invalidation {
  /** Entries: -1 for all of them, or all of the device's. */
  readonly first: number;
  readonly count: number;
  /** AMD-Vi: whose, 16 bits; -1 for all. */
  readonly device: number;
  /** AMD-Vi: its entry in the device table, too. */
  readonly deviceEntry: boolean;
}

/** A register of a unit as software writes it. */
export interface RegisterWrite {
  readonly name: string;
  readonly touched: Touched[];
  /** What such a write is held against. */
  readonly rule: RuleId | null;
}

/** A unit whose registers can be read, by the name that a host has for it. */
export interface LookedAt {
  readonly name: string;
  read(offset: number, width: 32 | 64): bigint;
}

/** The remapping unit of a machine that runs, asked what it was that it did. */
export interface LiveUnit extends LookedAt {
  readonly vendor: "intel" | "amd";
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
  /** What it did to post an interrupt, with the structure that it wrote. */
  posted(posting: Posting, bystanders: Bystanders): readonly Told[];
  /** A write of a register, before it acts. */
  register(offset: number, low: number, high: number): RegisterWrite;
  /** The entry that a request names, as it lies in memory. */
  entry(index: number, requester: number): Structure;
  /** The structures in memory that an invalidation is about; of one that is about all, none. */
  invalidated(invalidation: Invalidation): Structure[];
  /** What an invalidation makes it forget, in a clause, and by which rule. */
  forgets(invalidation: Invalidation): { readonly what: string; readonly rule: RuleId };
  /** Entries that are not all zeros, of the first ones of its tables. @param requesters who has a table. */
  unseen(requesters: readonly number[], first: number): Structure[];
  /** Why it blocked the last request that it blocked, by its number or name; empty where it has neither. */
  reason(code: number): string;
  /** Why it has not kept that fault for software, in a clause, and by which rule. */
  unrecorded(): { readonly why: string; readonly rule: RuleId };
  /** What the unit has recorded of the fault that it has just had, as far as software can read it there. */
  record(reason: number, requester: number): Touched[];
}
