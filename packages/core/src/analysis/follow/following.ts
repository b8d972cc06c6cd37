import type { Missing, Origin } from "../../evidence/host/fact.ts";
import type { Section } from "../../spec/cite.ts";
import { type RuleId, ruleOf } from "../../spec/rules.ts";
import type { Step, Verdict } from "../path.ts";
import type { HostDecision } from "./host-decision.ts";
import type { Condition } from "./posting-conditions.ts";

/** Where on its way an interrupt is. */
export type Part = "source" | "requester" | "unit" | "decision" | "processor" | "linux" | "posting" | "guest";

/** One step of an interrupt's way on a host. */
export interface FollowStep {
  /** From 1. */
  readonly step: number;
  readonly part: Part;
  readonly title: string;
  /** `not sent`: it ends here, as no message is sent. `lost here`: nobody takes what arrives. */
  readonly verdict: Verdict | "not sent" | "lost here";
  readonly rule: RuleId | null;
  readonly section: Section | null;
  /** What was looked at, in one clause. */
  readonly detail: string;
  /** Where it was read. */
  readonly evidence: readonly Origin[];
}

/** What would become of an interrupt, were it to fire now. */
export type FollowOutcome =
  /** A processor takes it. */
  | "delivered"
  /** It stands in a descriptor or backing page, for whom that belongs to. */
  | "posted"
  /** The remapping unit refuses it. */
  | "blocked"
  /** It leaves the unit, and nobody takes it. */
  | "lost"
  /** No message leaves its source. */
  | "not sent"
  /** That hangs on something which is not known. */
  | "not known";

/** An interrupt of a host, followed. */
export interface FollowedInterrupt {
  /** One line of what is followed. */
  readonly title: string;
  /** `ssss:bb:dd.f`; null for what is no function of PCI. */
  readonly device: string | null;
  /** Of the device's vectors. */
  readonly vector: number | null;
  readonly irq: number | null;
  readonly actions: readonly string[];
  /** Of the unit. */
  readonly unit: string | null;
  readonly path: readonly FollowStep[];
  /** What the unit made of the request; null if none came to it. */
  readonly decision: HostDecision | null;
  readonly outcome: FollowOutcome;
  /** The rule by which it ended; null where no rule says it. */
  readonly rule: RuleId | null;
  readonly section: Section | null;
  /** In one sentence. */
  readonly why: string;
  readonly missing: readonly Missing[];
  /** For an interrupt that is passed through to a VM: whether it is posted to a vCPU. */
  readonly passthrough: { readonly posted: boolean | null; readonly conditions: readonly Condition[] } | null;
}

/** What a subject that is no vCPU came to. */
export interface Following {
  /** As the user named it. */
  readonly subject: string;
  readonly kind: "device" | "interrupt" | "entry";
  readonly interrupts: readonly FollowedInterrupt[];
}

type Told = Omit<FollowStep, "step" | "section" | "rule" | "evidence"> & {
  readonly rule?: RuleId;
  readonly evidence?: readonly (Origin | undefined)[];
};

/** How a story ended. */
export interface Ended {
  readonly outcome: FollowOutcome;
  readonly rule: RuleId | null;
  readonly why: string;
}

/** The way of one interrupt while it is told. What ends it ends it; later steps are not told. */
export class Story {
  readonly path: FollowStep[] = [];
  readonly missing: Missing[] = [];
  ended: Ended | null = null;

  tell({ rule, evidence = [], ...step }: Told): void {
    this.path.push({
      step: this.path.length + 1,
      ...step,
      rule: rule ?? null,
      section: rule === undefined ? null : ruleOf(rule).section,
      evidence: evidence.filter((origin) => origin !== undefined),
    });
  }

  /** The steps of a unit's decision. */
  decision(steps: readonly Step[], evidence: readonly (readonly Origin[])[]): void {
    for (const [at, { title, verdict, rule, section, detail }] of steps.entries()) {
      const from = verdict === "not reached" ? [] : (evidence[at] ?? []);
      this.path.push({
        step: this.path.length + 1,
        part: "decision",
        title,
        verdict,
        rule,
        section,
        detail,
        evidence: from,
      });
    }
  }

  lack(missing: Missing): void {
    if (!this.missing.some(({ what }) => what === missing.what)) this.missing.push(missing);
  }

  end(outcome: FollowOutcome, rule: RuleId | null, why: string): void {
    this.ended ??= { outcome, rule, why };
  }
}
