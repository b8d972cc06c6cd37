import { type RuleId, ruleOf } from "../spec/rules.ts";
import type { Step, Verdict } from "./path.ts";

/** One step of a decision as the specification lists it. */
export interface StepDeclaration<Facts, Reading extends string = string> {
  readonly title: string;
  /** The rule that the step is about. */
  readonly rule: RuleId;
  /** Rules that block a request here, besides the step's own. */
  readonly blocks?: readonly RuleId[];
  /** Rules by which a request leaves the unit unchanged here. */
  readonly passes?: readonly RuleId[];
  /** What the step rests on. */
  readonly reads: readonly Reading[];
  /** What was looked at, in one clause. */
  readonly detail: (facts: Facts) => string;
  /** Set where the step may not be made at all. */
  readonly exempt?: (facts: Facts) => Extract<Verdict, "not checked" | "does not apply"> | undefined;
}

/** How a decision ended: in which way, and by which rule; `not known`: at the rule's step, with what follows open. */
export interface Ending {
  readonly outcome: "passed" | "remapped" | "posted" | "blocked" | "not known";
  readonly rule: RuleId;
}

/** One way that a decision can go. */
export interface Branch<Facts> {
  readonly facts: Facts;
  readonly ending: Ending;
}

/**
 * Tells a decision step by step, in each of the ways that it can go: where all is known, there is one. The order is the
 * specification's; a unit that deviates from it is told in the same order, and what follows the step that ended it
 * counts as not reached. A step at which ways part is not known; what follows is told of those that go on.
 */
export function narrateBranches<Facts>(
  steps: readonly StepDeclaration<Facts>[],
  branches: readonly Branch<Facts>[],
): Step[] {
  const ways = branches.map((branch) => ({ ...branch, end: endOf(steps, branch.ending) }));
  const longest = ways.reduce((best, way) => (way.end > best.end ? way : best));
  return steps.map((step, position) => {
    const here = ways.filter(({ end }) => end >= position);
    const verdicts = new Set(
      here.map(({ facts, ending, end }) => verdictOf(step, facts, ending, position - end)),
    );
    const verdict: Verdict =
      here.length === 0 ? "not reached" : verdicts.size === 1 ? [...verdicts][0]! : "not known";
    const rule =
      verdict !== "not known" && position === longest.end && here.every((way) => sameRule(way, longest))
        ? longest.ending.rule
        : step.rule;
    return {
      step: position + 1,
      title: step.title,
      rule,
      section: ruleOf(rule).section,
      verdict,
      detail: verdict === "not reached" ? "" : step.detail(longest.facts),
    };
  });
}

function sameRule(a: Branch<unknown>, b: Branch<unknown>): boolean {
  return a.ending.rule === b.ending.rule;
}

/** The step at which the decision ended: the last one for a request that was delivered. */
export function endOf<Facts>(steps: readonly StepDeclaration<Facts>[], { outcome, rule }: Ending): number {
  const position = steps.findIndex((step) => {
    if (outcome === "not known") return step.rule === rule;
    return outcome === "blocked"
      ? step.rule === rule || step.blocks?.includes(rule) === true
      : step.passes?.includes(rule) === true;
  });
  return position < 0 ? steps.length - 1 : position;
}

const endings = {
  passed: "passed here",
  remapped: "delivered",
  posted: "posted",
  blocked: "blocked here",
  "not known": "not known",
} as const;

function verdictOf<Facts>(
  step: StepDeclaration<Facts>,
  facts: Facts,
  { outcome }: Ending,
  distance: number,
): Verdict {
  if (distance > 0) return "not reached";
  if (distance === 0) return endings[outcome];
  return step.exempt?.(facts) ?? "held";
}
