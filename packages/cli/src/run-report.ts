import type { RunResult, Scenario, StackCount } from "@intremap/core";
import { type Paint, table, wrap } from "./output.ts";

const shownLog = 12;
const indent = "             ";

/** What `run` prints for people. */
export function reportRun(result: RunResult, paint: Paint): string {
  const parts = [head(result, paint), narrative(result, paint), summary([result], paint)];
  parts.push(stacks(result.stacks, paint), findings(result, paint));
  return parts.filter((part) => part !== "").join("\n");
}

/** Two runs of the same work. */
export function reportRuns(result: RunResult, other: RunResult, paint: Paint): string {
  const parts = [head(result, paint), narrative(result, paint), head(other, paint), narrative(other, paint)];
  parts.push(summary([result, other], paint), costs(result, other, paint));
  parts.push(stacks(result.stacks, paint), findings(result, paint), findings(other, paint));
  return parts.filter((part) => part !== "").join("\n");
}

/** The scenarios that there are. */
export function reportList(scenarios: readonly Scenario[], paint: Paint): string {
  const rows = scenarios.map(({ name, kernel, parameters, variants, title }) => [
    name,
    kernel,
    parameters.map((parameter) => `--${parameter.name}`).join(" ") || "-",
    variants.join(" ") || "-",
    title,
  ]);
  return table(["scenario", "kernel", "options", "variants", "what it shows"], rows, paint);
}

function head({ scenario, title, kernel, profile, settings }: RunResult, paint: Paint): string {
  return `${paint("bold", `${scenario}: ${title}`)}\n${paint("dim", `Linux ${kernel}, ${profile}, ${settings}`)}\n`;
}

function narrative({ episodes, log }: RunResult, paint: Paint): string {
  const lines: string[] = [];
  for (const { at, what, details } of episodes) {
    lines.push(`${paint("dim", time(at))}  ${what}`);
    for (const detail of details) lines.push(`${indent}${wrap(detail, indent, 118)}`);
  }
  if (log.length > 0) {
    lines.push("", paint("dim", "the kernel's log"));
    lines.push(...log.slice(0, shownLog).map((line) => `${indent}${line}`));
    if (log.length > shownLog) lines.push(`${indent}and ${count(log.length - shownLog)} more lines`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** The same counts of each run, beside one another. */
function summary(results: readonly RunResult[], paint: Paint): string {
  const rows: [string, (result: RunResult) => number | string][] = [
    ["raised by devices", ({ raised }) => raised],
    ["delivered", ({ delivered }) => delivered],
    ["merged with one before", ({ coalesced }) => coalesced],
    ["blocked", ({ blocked }) => blocked],
    ["lost", ({ lost }) => lost],
    ["past their entries", ({ hijacked }) => hijacked],
    ["VM exits", ({ vmExits }) => vmExits],
    ["notifications", ({ notifications }) => notifications],
    ["host interrupts", ({ hostInterrupts }) => hostInterrupts],
    ["wake-ups", ({ wakeups }) => wakeups],
    ["entries remapped, posted", ({ remapped, posted }) => `${remapped}, ${posted}`],
    ["faults", faults],
    ["cycles (modelled)", ({ cycles }) => cycles],
  ];
  const header = ["", ...results.map(({ scenario }) => scenario)];
  return table(
    header,
    rows.map(([name, value]) => [name, ...results.map((result) => shown(value(result)))]),
    paint,
  );
}

function faults({ faults: kinds }: RunResult): string {
  return kinds.map(({ fault, count: times }) => `${fault} × ${count(times)}`).join(", ") || "none";
}

/** What the work cost in each of the two, and where the figures come from. */
function costs(result: RunResult, other: RunResult, paint: Paint): string {
  const names = [...new Set([...result.costs, ...other.costs].map(({ name }) => name))];
  const of = ({ costs: shares }: RunResult, name: string): string => {
    const share = shares.find((one) => one.name === name);
    return share === undefined ? "-" : `${count(share.times)} × ${count(share.cycles / share.times)}`;
  };
  const rows = names.map((name) => [
    name,
    of(result, name),
    of(other, name),
    [...result.costs, ...other.costs].find((one) => one.name === name)!.source,
  ]);
  return rows.length === 0
    ? ""
    : table(["modelled cycles", result.scenario, other.scenario, "source of the figure"], rows, paint);
}

/** Stacks as bpftrace prints a histogram of them. */
function stacks(counts: readonly StackCount[], paint: Paint): string {
  return counts
    .map(
      ({ frames, count: times }) =>
        `@[\n${frames.map((frame) => `    ${frame}\n`).join("")}]: ${paint("bold", String(times))}\n`,
    )
    .join("");
}

function findings({ scenario, findings: all }: RunResult, paint: Paint): string {
  return all.map((one) => `${paint("red", "finding")} ${scenario}: ${one}\n`).join("");
}

function shown(value: number | string): string {
  return typeof value === "number" ? count(value) : value;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Modelled time, 10 wide. */
function time(nanoseconds: number): string {
  return `${(nanoseconds / 1000).toFixed(1)} µs`.padStart(11);
}
