import { decode } from "../../spec/codec.ts";
import { printRequester } from "../../spec/requester.ts";
import { type RuleId, ruleOf } from "../../spec/rules.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import type { Stop, Touched, WalkStep } from "./step.ts";

/** What a step is about; when it happens, and in which thread, is told elsewhere. */
export interface Told {
  readonly stop: Stop;
  readonly actor: string;
  readonly title: string;
  readonly detail?: string;
  readonly verdict?: WalkStep["verdict"];
  readonly rule?: RuleId | null;
  readonly touched?: readonly Touched[];
}

/** A step with all that it has to have. */
export function stepOf(
  { stop, actor, title, detail = "", verdict = null, rule = null, touched = [] }: Told,
  rest: Pick<WalkStep, "at" | "episode" | "thread" | "stack" | "request">,
): WalkStep {
  const section = rule === null ? null : ruleOf(rule).section;
  return { stop, actor, title, detail, verdict, rule, section, touched, ...rest };
}

/** A vector as people say it: `vector f2h`. */
export function vectorOf(vector: number): string {
  return `vector ${(vector & 0xff).toString(16).padStart(2, "0")}h`;
}

/** Its write is told from DMA, by a rule of VT-d's. @param requester 16 bits; -1 if unknown. @param vendor the unit's. */
export function routes(source: string, requester: number, vendor: "intel" | "amd"): Told {
  const id = requester < 0 ? "of an unknown requester" : `of requester ${printRequester(requester & 0xffff)}`;
  return {
    stop: "bus",
    actor: source,
    title: "the root complex takes the write for an interrupt",
    detail: `an aligned write of 4 bytes to FEEx_xxxxh, ${id}`,
    rule: vendor === "intel" ? "pci.dma.interrupt-range" : null,
  };
}

export interface Posted {
  /** Whose descriptor or backing page it is. */
  readonly owner: string;
  readonly vector: number;
  readonly notified: boolean;
}

/** A VT-d unit posts to a descriptor, which `touched` shows before and after. */
export function postsToDescriptor(
  { owner, vector, notified }: Posted,
  urgent: boolean,
  touched: Touched,
): Told {
  // Of a descriptor whose ON is set already SN does not matter.
  const coalesced = decode(postedDescriptor, touched.value).on === 1;
  const why = notified
    ? "ON is set, a notification goes out"
    : coalesced
      ? "ON=1 already: no second notification"
      : "SN=1: no notification";
  return {
    stop: "descriptor",
    actor: owner,
    title: `the unit posts ${vectorOf(vector)} into the descriptor of ${owner}`,
    detail: urgent ? `${why}; URG=1` : why,
    rule: notified ? "vtd.post.notify" : coalesced ? "vtd.post.coalesced" : "vtd.post.suppressed",
    touched: [{ ...touched, fields: touched.fields.length === 0 ? ["pir", "on", "sn"] : touched.fields }],
  };
}

/** An AMD-Vi unit posts to a backing page, and tells the processor or the log of it; each as `touched` shows it. */
export function postsToPage(
  { owner, vector, notified }: Posted,
  logged: boolean,
  touched: Readonly<Partial<Record<"page" | "log", readonly Touched[]>>> = {},
): Told[] {
  const { page = [], log = [] } = touched;
  const common = { stop: "descriptor", actor: owner } as const;
  const posted: Told = {
    ...common,
    title: `the unit sets ${vectorOf(vector)} in the backing page of ${owner}`,
    detail: notified ? "IsRun=1" : "IsRun=0",
    rule: "amdvi.ga.post",
    touched: page,
  };
  if (notified) {
    return [
      posted,
      { ...common, title: "the unit rings the processor's doorbell", rule: "amdvi.ga.doorbell" },
    ];
  }
  if (!logged) return [posted];
  return [
    posted,
    { ...common, title: "the unit writes to the guest virtual APIC log", rule: "amdvi.ga.log", touched: log },
  ];
}
