import { type CheckResult, type Hazard, hex, printRequester, ruleOf } from "@intremap/core";
import { type Paint, wrap, count, unitNames } from "./output.ts";
import { reportPassedOver } from "./passed-over.ts";
import type { SarifFinding, SarifRemark } from "./sarif.ts";

const shownHazards = 50;

/** What `check` prints for people. */
export function reportCheck(result: CheckResult, paint: Paint): string {
  const { vendor, lines, profile, hazards, hazardCount } = result;
  const verdict =
    hazardCount === 0
      ? paint("green", "no hazard")
      : paint("red", hazardCount === 1 ? "1 hazard" : `${count(hazardCount)} hazards`);
  const parts = [`${unitNames[vendor]}, ${count(lines)} lines, profile ${profile}\n${verdict}\n`];
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
  return lines.join("") + reportPassedOver({ skipped, ignored }, "check", paint);
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
