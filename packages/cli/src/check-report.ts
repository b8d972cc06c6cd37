import { type CheckResult, type Hazard, hex, printRequester, ruleOf } from "@intremap/core";
import { type Paint, wrap } from "./output.ts";
import type { SarifFinding, SarifRemark } from "./sarif.ts";

const vendorNames = { intel: "VT-d", amd: "AMD-Vi" } as const;
const shownHazards = 50;

/** What `check` prints for people. */
export function reportCheck(result: CheckResult, paint: Paint): string {
  const { vendor, lines, profile, hazards, hazardCount } = result;
  const verdict =
    hazardCount === 0
      ? paint("green", "no hazard")
      : paint("red", hazardCount === 1 ? "1 hazard" : `${count(hazardCount)} hazards`);
  const parts = [`${vendorNames[vendor]}, ${count(lines)} lines, profile ${profile}\n${verdict}\n`];
  for (const hazard of hazards.slice(0, shownHazards)) parts.push(one(hazard, paint));
  const rest = hazardCount - Math.min(hazards.length, shownHazards);
  if (rest > 0) parts.push(`and ${count(rest)} more\n`);
  parts.push(remarks(result, paint));
  return parts.filter((part) => part !== "").join("\n");
}

function one(hazard: Hazard, paint: Paint): string {
  const { rule, at, since, found, fix } = hazard;
  const { section, force, standing } = ruleOf(rule);
  const where = since === null ? `line ${at}` : `line ${at}, since line ${since}`;
  const whose = subject(hazard);
  const basis = `${section}, ${force}${standing === undefined ? "" : `, ${standing}`}`;
  return (
    `${paint("red", where)}${whose === "" ? "" : `, ${whose}`}\n` +
    `  ${wrap(found, "  ")}\n` +
    `  ${paint("bold", "fix")}  ${wrap(fix, "       ")}\n` +
    `  ${paint("bold", "by")}   ${rule} (${basis})\n`
  );
}

function subject({ index, requester }: Hazard): string {
  return [
    ...(index === null ? [] : [`index ${index} (${hex(index)})`]),
    ...(requester === null ? [] : [printRequester(requester)]),
  ].join(" of ");
}

function remarks({ notChecked, skipped, ignored }: CheckResult, paint: Paint): string {
  const lines = notChecked.map((entry) => `${paint("yellow", "not checked")} ${remarkOf(entry)}\n`);
  for (const [reason, { count: times, line }] of Object.entries(skipped)) {
    lines.push(`${paint("yellow", "skipped")} ${lineCount(times)}, the first is line ${line}: ${reason}\n`);
  }
  const events = Object.values(ignored);
  if (events.length > 0) {
    const total = events.reduce((sum, times) => sum + times, 0);
    lines.push(
      paint("dim", `ignored ${lineCount(total)} of ${events.length} events that check has no use for`) + "\n",
    );
  }
  return lines.join("");
}

function remarkOf({ rule, why, count: times }: CheckResult["notChecked"][number]): string {
  return `${times === null ? "" : `${count(times)} × `}${rule === null ? "" : `${rule}: `}${why}`;
}

/** The hazards of a trace as findings of a SARIF log. */
export function sarifFindings(result: CheckResult, trace: string): SarifFinding[] {
  const { profile, vendor } = result;
  return result.hazards.map(({ rule, index, requester, at, since, found, fix }) => ({
    rule,
    found,
    fix,
    place: { file: trace, line: at },
    related: since === null ? [] : [{ file: trace, line: since, what: "it began here" }],
    properties: {
      profile,
      vendor,
      index,
      requester: requester === null ? null : printRequester(requester),
    },
  }));
}

/** What was not checked as remarks of a SARIF log, and how many hazards are left out of it. */
export function sarifRemarks(result: CheckResult): SarifRemark[] {
  const left = result.hazardCount - result.hazards.length;
  return [
    ...result.notChecked.map((entry) => ({
      rule: entry.rule,
      text: `not checked: ${remarkOf({ ...entry, rule: null })}`,
    })),
    ...(left > 0 ? [{ rule: null, text: `${count(left)} more hazards than are listed` }] : []),
  ];
}

function lineCount(number: number): string {
  return number === 1 ? "1 line" : `${count(number)} lines`;
}

function count(number: number): string {
  return number.toLocaleString("en");
}
