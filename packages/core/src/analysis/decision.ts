import { type RuleId, ruleOf } from "../spec/rules.ts";
import type { Step, Verdict } from "./path.ts";

/** One step of a decision as the specification lists it. */
export interface StepDeclaration<Facts> {
  readonly title: string;
  /** The rule that the step is about. */
  readonly rule: RuleId;
  /** Rules that block a request here, besides the step's own. */
  readonly blocks?: readonly RuleId[];
  /** Rules by which a request leaves the unit unchanged here. */
  readonly passes?: readonly RuleId[];
  /** What was looked at, in one clause. */
  readonly detail: (facts: Facts) => string;
  /** Set where the step may not be made at all. */
  readonly exempt?: (facts: Facts) => Extract<Verdict, "not checked" | "does not apply"> | undefined;
}

/** How a decision ended: in which way, and by which rule. */
export interface Ending {
  readonly outcome: "passed" | "remapped" | "posted" | "blocked";
  readonly rule: RuleId;
}

/**
 * Tells a decision step by step. The order is the specification's; a unit that deviates from it is told in the same
 * order, and what follows the step that ended it counts as not reached.
 */
export function narrate<Facts>(
  steps: readonly StepDeclaration<Facts>[],
  facts: Facts,
  ending: Ending,
): Step[] {
  const end = endOf(steps, ending);
  return steps.map((step, position) => {
    const verdict = verdictOf(step, facts, ending, position - end);
    const rule = position === end ? ending.rule : step.rule;
    return {
      step: position + 1,
      title: step.title,
      rule,
      section: ruleOf(rule).section,
      verdict,
      detail: verdict === "not reached" ? "" : step.detail(facts),
    };
  });
}

/** The step at which the decision ended: the last one for a request that was delivered. */
function endOf<Facts>(steps: readonly StepDeclaration<Facts>[], { outcome, rule }: Ending): number {
  const position = steps.findIndex((step) =>
    outcome === "blocked"
      ? step.rule === rule || step.blocks?.includes(rule) === true
      : step.passes?.includes(rule) === true,
  );
  return position < 0 ? steps.length - 1 : position;
}

const endings = {
  passed: "passed here",
  remapped: "delivered",
  posted: "posted",
  blocked: "blocked here",
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
