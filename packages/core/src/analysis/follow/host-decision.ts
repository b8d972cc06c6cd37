import type { Origin, Missing } from "../../evidence/host/fact.ts";
import type { Outcome } from "../../hardware/delivery.ts";
import type { EventKind, Observer } from "../../hardware/event.ts";
import { eventKinds } from "../../hardware/event.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { Branch, Ending, StepDeclaration } from "../decision.ts";
import { endOf } from "../decision.ts";
import { EntryWatch } from "../entry-watch.ts";
import type { MessageComposer } from "../message-composer.ts";
import type { UnitDecision } from "../path.ts";
import { outcomeNames, sentBy } from "../path-parts.ts";
import { type Answer, type Settings, decisive, printChoice } from "./settings.ts";

/** An interrupt request as a unit of a host is to be sent it. */
export interface HostRequest {
  readonly address: bigint;
  readonly data: number;
  readonly messageOrigin: Origin;
  /** 16 bits; {@link unknownRequester} where it is not known. */
  readonly requester: number;
  readonly requesterOrigin: Origin | null;
}

/** What a unit posted. */
export interface Posting {
  /** Of the descriptor, or of the vAPIC backing page. */
  readonly address: bigint;
  readonly vector: number;
  /** A notification was sent, or the doorbell rung; null where the descriptor is not known. */
  readonly notified: boolean | null;
  /** AMD-Vi: an entry was written to the guest virtual APIC log. */
  readonly logged: boolean;
  /** APIC id and vector of the notification; AMD-Vi: whose doorbell. */
  readonly notification: { readonly destination: number; readonly vector: number | null } | null;
}

/** One of several answers, and for which values of what is not known it is given. */
export interface Way {
  readonly when: string;
  readonly outcome: Ending["outcome"];
  readonly rule: RuleId;
}

/** What a unit of a host would make of a request now. */
export interface HostDecision extends UnitDecision {
  readonly outcome: Ending["outcome"];
  readonly posting: Posting | null;
  /** Where the outcome is not known: what it can be. */
  readonly ways: readonly Way[];
  readonly missing: readonly Missing[];
  /** For each step, what it rests on. */
  readonly evidence: readonly (readonly Origin[])[];
}

/** What came out of one run of a unit. */
export interface RunResult<Facts> {
  readonly branch: Branch<Facts>;
  readonly message: UnitDecision["message"];
  readonly delivery: UnitDecision["delivery"];
  readonly posting: Posting | null;
}

/** Keeps the entry that a unit used, and what it posted. */
export class DecisionWatch extends EntryWatch implements Observer {
  posted: {
    readonly address: bigint;
    readonly vector: number;
    readonly notified: boolean;
    readonly urgent: boolean;
  } | null = null;

  override record(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void {
    super.record(kind, a, b, c, d, e, f);
    if (kind !== eventKinds.posted) return;
    const address = (BigInt(b >>> 0) << 32n) | BigInt(a >>> 0);
    this.posted = { address, vector: c, notified: d === 1, urgent: e === 1 };
  }
}

/**
 * How one run of a unit ended, and what it sent on.
 * @param open the rule at which something decides that is not known; undefined where nothing does.
 */
export function cameTo(
  outcome: Outcome,
  rule: RuleId,
  open: RuleId | undefined,
  composer: MessageComposer,
): { readonly ending: Ending; readonly result: string } & Pick<UnitDecision, "message" | "delivery"> {
  const { message, delivery, result } = sentBy(outcome, composer);
  if (open === undefined) {
    return { ending: { outcome: outcomeNames[outcome], rule }, result, message, delivery };
  }
  const ending = { outcome: "not known", rule: open } as const;
  return { ending, result: delivery === null ? ending.outcome : result, message: null, delivery: null };
}

/** Puts the answers for every choice together: one outcome where they agree, else what it hangs on. */
export function conclude<Of extends Settings, Facts>(
  settings: Of,
  answers: readonly Answer<Of, RunResult<Facts>>[],
  steps: readonly StepDeclaration<Facts>[],
  told: (branches: readonly Branch<Facts>[]) => Pick<UnitDecision, "decoded" | "index" | "entry" | "steps">,
  origins: Readonly<Record<string, readonly Origin[]>>,
  request: HostRequest,
  unknown: Readonly<Partial<Record<RuleId, Missing>>>,
): HostDecision {
  const different = new Map(answers.map((answer) => [answer.key, answer]));
  const distinct = [...different.values()].sort(
    (a, b) => endOf(steps, b.result.branch.ending) - endOf(steps, a.result.branch.ending),
  );
  const branches = distinct.map(({ result }) => result.branch);
  const evidence = steps.map(({ reads }) => unique(reads.flatMap((reading) => origins[reading] ?? [])));
  const parts = { request: { address: request.address, data: request.data }, ...told(branches), evidence };
  const [first] = distinct;
  const { ending } = first!.result.branch;
  if (distinct.length === 1) {
    const { message, delivery, posting } = first!.result;
    const missing = ending.outcome === "not known" ? (unknown[ending.rule] ?? []) : [];
    return { ...parts, ...ending, message, delivery, posting, ways: [], missing: [missing].flat() };
  }
  const names = decisive(settings, answers);
  const ways = distinct.map(({ choice, result }): Way => {
    const { outcome, rule } = result.branch.ending;
    return { when: printChoice(settings, choice, names), outcome, rule };
  });
  const open = parts.steps.find(({ verdict }) => verdict === "not known");
  return {
    ...parts,
    outcome: "not known",
    rule: open?.rule ?? ending.rule,
    message: null,
    delivery: null,
    posting: null,
    ways,
    missing: [
      ...names.map((name) => settings[name]!.missing),
      ...ways.flatMap(({ outcome, rule }) => (outcome === "not known" ? (unknown[rule] ?? []) : [])),
    ],
  };
}

export function unique(origins: readonly Origin[]): Origin[] {
  const seen = new Map(origins.map((origin) => [`${origin.source}\n${origin.place ?? ""}`, origin]));
  return [...seen.values()];
}
