import type { HostState } from "../../evidence/host/state.ts";
import type { Section } from "../../spec/cite.ts";
import { type RuleId, ruleOf } from "../../spec/rules.ts";
import { HostLinks } from "../host/links.ts";
import { type AuditCheck, type Evidence, type Severity, type Subject, severities } from "./check.ts";
import { auditChecks } from "./checks.ts";
import { AuditedHost } from "./host.ts";
import { Look } from "./look.ts";

/** Something about a host that is to be known, or mended. */
export interface AuditFinding {
  readonly rule: RuleId;
  readonly severity: Severity;
  readonly subject: Subject;
  /** One sentence: what is there, with its values. */
  readonly title: string;
  readonly evidence: readonly Evidence[];
  /** What can come of it. */
  readonly why: string;
  /** What to do about it. */
  readonly fix: string;
  readonly section: Section;
}

/** A check that had something to look at. */
export interface AuditChecked {
  readonly rule: RuleId;
  /** Units, entries, devices … that it looked at. */
  readonly looked: number;
}

/** A check that could not look, or not everywhere. */
export interface AuditNotChecked {
  readonly rule: RuleId;
  /** What is not known. */
  readonly missing: readonly string[];
  /** Whether it looked at what is known all the same. */
  readonly partly: boolean;
}

export interface AuditResult {
  readonly source: string;
  readonly vendor: "intel" | "amd" | null;
  /** The gravest first. */
  readonly findings: readonly AuditFinding[];
  /** Findings past those that are kept of one check. */
  readonly omitted: number;
  readonly checked: readonly AuditChecked[];
  readonly notChecked: readonly AuditNotChecked[];
  /** Rules that have nothing to look at here: of the other vendor, or of something that this host has none of. */
  readonly notApplicable: readonly RuleId[];
  readonly missing: HostState["missing"];
}

/** Asks a host every question of the audit. */
export function audit(state: HostState, checks: readonly AuditCheck[] = auditChecks): AuditResult {
  const host = new AuditedHost(state, new HostLinks(state));
  const findings: AuditFinding[] = [];
  const checked: AuditChecked[] = [];
  const notChecked: AuditNotChecked[] = [];
  const notApplicable: RuleId[] = [];
  let omitted = 0;
  for (const check of checks) {
    const own = host.vendor === "amd" ? (check.amdRule ?? check.rule) : check.rule;
    if (check.vendor !== null && host.vendor !== null && check.vendor !== host.vendor) {
      notApplicable.push(own);
      continue;
    }
    const look = new Look();
    check.find(host, look);
    omitted += look.omitted;
    for (const {
      rule = own,
      severity = check.severity,
      why = check.why,
      fix = check.fix,
      ...found
    } of look.found)
      findings.push({ rule, severity, why, fix, section: ruleOf(rule).section, ...found });
    if (look.looked > 0) checked.push({ rule: own, looked: look.looked });
    if (look.missing.length > 0)
      notChecked.push({ rule: own, missing: look.missing, partly: look.looked > 0 });
    if (look.looked === 0 && look.missing.length === 0) notApplicable.push(own);
  }
  findings.sort((a, b) => grave(b.severity) - grave(a.severity));
  const { source, missing } = state;
  return { source, vendor: host.vendor, findings, omitted, checked, notChecked, notApplicable, missing };
}

function grave(severity: Severity): number {
  return severities.indexOf(severity);
}

/** Whether a finding is at least so grave; `never` is reached by none. */
export function reaches(finding: Pick<AuditFinding, "severity">, threshold: Severity | "never"): boolean {
  return threshold !== "never" && severities.indexOf(finding.severity) >= severities.indexOf(threshold);
}
