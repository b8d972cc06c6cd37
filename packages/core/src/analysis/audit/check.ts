import type { Origin } from "../../evidence/host/fact.ts";
import type { Vendor } from "../../evidence/qemu-trace/index.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { AuditedHost } from "./host.ts";
import type { Look } from "./look.ts";

/** From what is worth knowing to what lets a device, or a guest, do harm. */
export const severities = ["info", "low", "medium", "high"] as const;

export type Severity = (typeof severities)[number];

/** Something that a host shows, and where. */
export interface Evidence {
  /** One clause. */
  readonly what: string;
  readonly origin: Origin;
}

/** What a finding is about. */
export interface Subject {
  readonly kind:
    | "host"
    | "firmware"
    | "unit"
    | "entry"
    | "table"
    | "device"
    | "interrupt"
    | "processor"
    | "descriptor"
    | "machine"
    | "kernel";
  /** As people call it: `dmar0`, `entry 33 of dmar0`, `0000:01:00.0`, `irq 35`. */
  readonly name: string;
}

/** What one check came upon. */
export interface Found {
  readonly subject: Subject;
  /** One sentence: what is there, with its values. */
  readonly title: string;
  readonly evidence: readonly Evidence[];
  /** Where they are not the check's own. */
  readonly rule?: RuleId;
  readonly severity?: Severity;
  readonly why?: string;
  readonly fix?: string;
}

/** One question that is asked of a host. A host that lacks what it looks at is not checked, and never clean. */
export interface AuditCheck {
  /** The rule of what it finds. */
  readonly rule: RuleId;
  /** The same on a host of AMD's, where that is another rule. */
  readonly amdRule?: RuleId;
  /** Further rules that its findings may name. */
  readonly also?: readonly RuleId[];
  readonly severity: Severity;
  /** The one vendor whose hosts it is about; null for both. */
  readonly vendor: Vendor | null;
  /** The facts that it looks at, in a few words. */
  readonly looksAt: string;
  /** One or two sentences: what can come of it. */
  readonly why: string;
  /** One sentence: what to do about it. */
  readonly fix: string;
  readonly find: (host: AuditedHost, look: Look) => void;
}

/** Lets the compiler hold a check against its shape. */
export function check(check: AuditCheck): AuditCheck {
  return check;
}
