import {
  type AuditEvidence,
  type AuditFinding,
  type AuditNotChecked,
  type AuditResult,
  type Severity,
  ruleOf,
  severities,
} from "@intremap/core";
import { type Paint, type Style, count, unitNames, wrap } from "./output.ts";
import type { SarifFinding, SarifRemark } from "./sarif.ts";

const styles: Readonly<Record<Severity, Style>> = { high: "red", medium: "yellow", low: "cyan", info: "dim" };
const gravestFirst: readonly Severity[] = [...severities].reverse();
const shownEvidence = 12;

/** What `audit` prints for people. */
export function reportAudit(result: AuditResult, paint: Paint): string {
  const parts = [`${headline(result)}\n${verdict(result, paint)}\n`];
  for (const severity of gravestFirst) {
    for (const finding of result.findings) if (finding.severity === severity) parts.push(one(finding, paint));
  }
  if (result.omitted > 0) parts.push(`and ${count(result.omitted)} more\n`);
  const rest = notChecked(result, paint);
  if (rest !== "") parts.push(rest);
  return parts.join("\n");
}

function headline({ source, vendor }: AuditResult): string {
  return vendor === null ? source : `${source}: ${unitNames[vendor]}`;
}

function tally({ findings }: AuditResult): readonly [Severity, number][] {
  return gravestFirst
    .map((severity): [Severity, number] => [
      severity,
      findings.filter((one) => one.severity === severity).length,
    ])
    .filter(([, times]) => times > 0);
}

function verdict(result: AuditResult, paint: Paint): string {
  const { checked, notChecked: open } = result;
  const whole = open.filter(({ partly }) => !partly).length;
  const found = tally(result).map(([severity, times]) =>
    paint(styles[severity], `${count(times)} ${severity}`),
  );
  const scope = `${checked.length} rules checked${whole === 0 ? "" : `, ${whole} not`}`;
  return found.length === 0 ? `${paint("green", "no findings")}, ${scope}` : `${found.join(", ")}; ${scope}`;
}

function one(finding: AuditFinding, paint: Paint): string {
  const { severity, subject, title, evidence, why, fix, rule } = finding;
  const { section, force, standing } = ruleOf(rule);
  const basis = `${section}, ${force}${standing === undefined ? "" : `, ${standing}`}`;
  const line = (label: string, text: string): string =>
    `  ${paint("bold", label.padEnd(5))}${wrap(text, "       ")}\n`;
  const shown = evidence.slice(0, shownEvidence);
  const left = evidence.length - shown.length;
  return (
    `${paint(styles[severity], severity)}  ${subject.name}\n` +
    `  ${wrap(title, "  ")}\n` +
    shown.map((each) => line("seen", seen(each))).join("") +
    (left > 0 ? line("", `and ${count(left)} more`) : "") +
    line("why", why) +
    line("fix", fix) +
    line("by", `${rule} (${basis})`)
  );
}

/** A piece of evidence with where it was read. */
function seen({ what, origin }: AuditEvidence): string {
  return `${what} (${origin.source}${origin.place === undefined ? "" : `, ${origin.place}`})`;
}

function notChecked({ notChecked: open }: AuditResult, paint: Paint): string {
  return open
    .map(({ rule, missing, partly }) => {
      const label = partly ? "partly checked" : "not checked";
      return `${paint("yellow", label)} ${rule}: ${wrap(`${listed(missing)} not known`, "  ")}\n`;
    })
    .join("");
}

function listed(missing: readonly string[]): string {
  const shown = missing.slice(0, 3).join("; ");
  return missing.length > 3 ? `${shown}; and ${missing.length - 3} more` : shown;
}

/** The body of the JSON document. */
export function auditDocument(result: AuditResult): object {
  const { source, vendor, findings, omitted, checked, notChecked: open, notApplicable, missing } = result;
  return { source, vendor, findings, omitted, checked, notChecked: open, notApplicable, missing };
}

const levels: Readonly<Record<Severity, "error" | "warning" | "note">> = {
  high: "error",
  medium: "warning",
  low: "note",
  info: "note",
};

/** The findings as those of a SARIF log: what they are about is no file but a part of the host. */
export function auditSarif(result: AuditResult): SarifFinding[] {
  return result.findings.map(({ rule, severity, subject, title, evidence, why, fix }) => ({
    rule,
    found: title,
    fix,
    level: levels[severity],
    place: {
      kind: subject.kind,
      name: subject.name,
      qualified: `${result.source}/${subject.kind}/${subject.name}`,
    },
    related: [],
    properties: { severity, why, evidence: evidence.map(seen) },
  }));
}

/** What was not checked as remarks of a SARIF log. */
export function auditRemarks(result: AuditResult): SarifRemark[] {
  return [
    ...result.notChecked.map((open) => ({ rule: open.rule, text: `${remarkOf(open)} not known` })),
    ...(result.omitted > 0
      ? [{ rule: null, text: `${count(result.omitted)} more findings than are listed` }]
      : []),
  ];
}

function remarkOf({ partly, missing }: AuditNotChecked): string {
  return `${partly ? "partly checked" : "not checked"}: ${listed(missing)}`;
}

/** The findings for a ticket. */
export function auditMarkdown(result: AuditResult): string {
  const { source, findings, notChecked: open, checked, omitted } = result;
  const parts = [`# Interrupt remapping of ${inline(source)}\n`];
  const sum = tally(result).map(([severity, times]) => `${count(times)} ${severity}`);
  parts.push(`${sum.length === 0 ? "No findings" : sum.join(", ")}; ${checked.length} rules checked.\n`);
  if (findings.length > 0) {
    parts.push(
      [
        "| severity | subject | finding | rule |",
        "| --- | --- | --- | --- |",
        ...findings.map(
          ({ severity, subject, title, rule }) =>
            `| ${severity} | ${cell(subject.name)} | ${cell(title)} | \`${rule}\` |`,
        ),
      ].join("\n") + "\n",
    );
  }
  for (const finding of findings) parts.push(section(finding));
  if (omitted > 0) parts.push(`And ${count(omitted)} more.\n`);
  if (open.length > 0) {
    const rows = open.map(
      ({ rule, missing, partly }) =>
        `- \`${rule}\`${partly ? " (in part)" : ""}: ${inline(listed(missing))} not known`,
    );
    parts.push(`## Not checked\n\n${rows.join("\n")}\n`);
  }
  return parts.join("\n");
}

function section({
  severity,
  subject,
  title,
  evidence,
  why,
  fix,
  rule,
  section: cited,
}: AuditFinding): string {
  const shown = evidence.slice(0, shownEvidence).map((each) => `- ${inline(seen(each))}\n`);
  if (evidence.length > shownEvidence) shown.push(`- and ${count(evidence.length - shownEvidence)} more\n`);
  return (
    `## ${inline(`${severity}: ${subject.name}`)}\n\n${inline(title)}\n\n${shown.join("")}\n` +
    `**Why** ${inline(why)}\n\n**Fix** ${inline(fix)}\n\nRule \`${rule}\`, ${inline(cited)}: ${inline(ruleOf(rule).text)}\n`
  );
}

/** Text of a host as Markdown takes it: nothing in it is markup, and it stays on its line. */
function inline(text: string): string {
  return text.replaceAll(/[\r\n\t]+/g, " ").replaceAll(/[\\`*_[\]<>#|]/g, "\\$&");
}

function cell(text: string): string {
  return inline(text);
}
