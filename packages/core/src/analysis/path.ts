import type { Vendor } from "../evidence/qemu-trace/index.ts";
import type { Row } from "../spec/codec.ts";
import type { Section } from "../spec/cite.ts";
import type { RuleId } from "../spec/rules.ts";

/** What a step of the decision came to. */
export type Verdict =
  | "held"
  /** The trace does not say what the step needs. */
  | "not checked"
  /** The outcome of the step hangs on something of the host that is not known. */
  | "not known"
  /** The step is about requests of another kind. */
  | "does not apply"
  | "blocked here"
  /** The request left the unit unchanged at this step. */
  | "passed here"
  | "not reached"
  | "delivered"
  | "posted";

/** One step of a unit's decision on a request, in the order of the specification. */
export interface Step {
  readonly step: number;
  readonly title: string;
  readonly rule: RuleId;
  readonly section: Section;
  readonly verdict: Verdict;
  /** What was looked at, in one clause. */
  readonly detail: string;
}

/** A message: address of 64 bits and data. */
export interface PathMessage {
  readonly address: bigint;
  readonly data: number;
}

/** What the local APICs were handed. */
export interface PathDelivery {
  readonly destination: number;
  readonly logical: boolean;
  readonly deliveryMode: number;
  readonly vector: number;
  readonly level: boolean;
}

/** What a unit made of one request, told step by step. */
export interface UnitDecision {
  readonly request: PathMessage;
  /** The request's address and data, field by field. */
  readonly decoded: readonly Row[];
  /** Index into the table; null where none was computed. */
  readonly index: number | null;
  /** The entry that the unit used; `cached`: it came from the unit's cache. */
  readonly entry: {
    /** Null if it is not known where the table lies. */
    readonly address: bigint | null;
    readonly width: number;
    readonly value: bigint;
    readonly fields: readonly Row[];
    readonly cached: boolean;
  } | null;
  readonly steps: readonly Step[];
  readonly rule: RuleId;
  /** What left the unit; null if the request was blocked or posted. */
  readonly message: PathMessage | null;
  readonly delivery: PathDelivery | null;
}

/** One request of a trace from the device's write to the local APIC. */
export interface Path extends UnitDecision {
  readonly vendor: Vendor;
  readonly profile: string;
  /** Counts requests from 1. */
  readonly ordinal: number;
  /** The first and the last line of the trace that belong to it. */
  readonly line: number;
  readonly lastLine: number;
  readonly requester: string;
  /** The trace gives all of the requester; otherwise it is told by the entry, or by the bits that are given. */
  readonly requesterKnown: boolean;
  readonly outcome: "passed" | "remapped" | "posted" | "blocked";
  readonly agreed: boolean;
}

/** What depends on the unit's vendor. */
export type VendorPath = Pick<Path, "requester" | "requesterKnown" | "decoded" | "index" | "entry" | "steps">;

/** Which request to follow: the nth, the one that a line belongs to, or an instructive one. */
export type FollowChoice = { readonly ordinal: number } | { readonly line: number } | "instructive";
