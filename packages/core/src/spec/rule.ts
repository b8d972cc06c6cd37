import type { Section } from "./cite.ts";

/** How binding a rule is: what the document demands, permits, leaves open, or what one product does against it. */
export type Force = "shall" | "may" | "implementation-defined" | "erratum";

/**
 * What a rule rests on where it is not the document's own text: `unverified` (known in the field, not held against a
 * stored source), `inferred` (fits every public sample), `unsettled` (sources disagree).
 */
export type Standing = "unverified" | "inferred" | "unsettled";

export interface Rule {
  readonly section: Section;
  readonly force: Force;
  /** One sentence. */
  readonly text: string;
  readonly standing?: Standing;
}

type RuleOptions = Pick<Rule, "standing">;

export function shall(section: Section, text: string, options: RuleOptions = {}): Rule {
  return { section, force: "shall", text, ...options };
}

export function may(section: Section, text: string, options: RuleOptions = {}): Rule {
  return { section, force: "may", text, ...options };
}

export function implementationDefined(section: Section, text: string, options: RuleOptions = {}): Rule {
  return { section, force: "implementation-defined", text, ...options };
}

export function erratum(section: Section, text: string, options: RuleOptions = {}): Rule {
  return { section, force: "erratum", text, ...options };
}
