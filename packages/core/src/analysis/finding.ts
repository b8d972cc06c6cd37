import type { Section } from "../spec/cite.ts";
import { type RuleId, ruleOf } from "../spec/rules.ts";
import { advice } from "./causes.ts";

/** What a finding is about. */
export type FindingKind = "interrupt" | "dma" | "unit" | "entry" | "message" | "setup";

/** Something that the text says went wrong, or would. */
export interface Finding {
  /** The line of the text, from 1. */
  readonly line: number;
  /** `interrupt`: a request was blocked; `dma`: a DMA was; `unit`: the IOMMU itself; `entry`, `message`: a pasted value; `setup`: how remapping came up. */
  readonly kind: FindingKind;
  /** VT-d: FRCD.FR; AMD-Vi: the event code; null where neither applies. */
  readonly reason: number | null;
  /** The reason or event by name. */
  readonly name: string;
  readonly rule: RuleId;
  readonly section: Section;
  /** `bb:dd.f` as printed, with a segment only if one was printed; null where no device is named. */
  readonly requester: string | null;
  /** Interrupt index, 0 to 65,535; null where it is undefined or not known. */
  readonly index: number | null;
  /** One sentence. */
  readonly what: string;
  /** The likeliest first. */
  readonly causes: readonly string[];
  /** Commands to run next. */
  readonly next: readonly string[];
}

/** Something that the text says and that is in order. */
export interface Remark {
  readonly line: number;
  /** One sentence or clause. */
  readonly what: string;
}

export type FindingInput = Pick<Finding, "line" | "kind" | "rule" | "name" | "what"> & {
  readonly reason?: number | null;
  readonly requester?: string | null;
  readonly index?: number | null;
  /** The rule under which causes and next steps stand, if not under the finding's own. */
  readonly advisedBy?: RuleId;
};

/** The largest interrupt index. */
const lastIndex = 0xffff;

/** Completes a finding with its rule's section, causes and next steps. */
export function finding(input: FindingInput): Finding {
  const { line, kind, reason = null, name, rule, requester = null, what } = input;
  const index =
    input.index === undefined || input.index === null || input.index > lastIndex ? null : input.index;
  const { causes, next } = advice[input.advisedBy ?? rule] ?? { causes: [], next: [] };
  return {
    line,
    kind,
    reason,
    name,
    rule,
    section: ruleOf(rule).section,
    requester,
    index,
    what,
    causes,
    next: next.map((step) => filled(step, requester, index)).filter((step) => step !== undefined),
  };
}

/** A step with its blanks filled in; undefined when one of them is not known. */
function filled(step: string, requester: string | null, index: number | null): string | undefined {
  const blanks: Readonly<Record<string, string | undefined>> = {
    requester: requester ?? undefined,
    device: requester === null ? undefined : withSegment(requester),
    index: index?.toString(),
  };
  let known = true;
  const text = step.replaceAll(/\{(requester|device|index)\}/g, (_, name: string) => {
    const value = blanks[name];
    if (value === undefined) known = false;
    return value ?? "";
  });
  return known ? text : undefined;
}

/** The name of a device in sysfs. */
function withSegment(requester: string): string {
  return /:.*:/.test(requester) ? requester : `0000:${requester}`;
}
