import type { RunResult, Scenario, StackCount } from "@intremap/core";
import { type Paint, table, wrap } from "./output.ts";

const shownLog = 12;
const indent = "             ";

/** What `run` prints for people. */
export function reportRun(result: RunResult, paint: Paint): string {
  const parts = [head(result, paint), narrative(result, paint), log(result, paint), summary([result], paint)];
  parts.push(brokenRules([result], paint), stacks(result.stacks, paint), findings(result, paint));
  return parts.filter((part) => part !== "").join("\n");
}

/** Two runs of the same work. */
export function reportRuns(result: RunResult, other: RunResult, paint: Paint): string {
  const parts = [head(result, paint), narrative(result, paint), log(result, paint)];
  parts.push(head(other, paint), narrative(other, paint));
  if (other.log.join() !== result.log.join()) parts.push(log(other, paint));
  parts.push(summary([result, other], paint), brokenRules([result, other], paint));
  parts.push(costs(result, other, paint));
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

function narrative({ episodes }: RunResult, paint: Paint): string {
  const lines: string[] = [];
  for (const { at, what, details } of episodes) {
    lines.push(`${paint("dim", time(at))}  ${what}`);
    for (const detail of details) lines.push(`${indent}${wrap(detail, indent, 118)}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** The first lines of the kernel's log, one that comes several times in a row as one. */
function log({ log: all }: RunResult, paint: Paint): string {
  const folded: { line: string; times: number }[] = [];
  for (const line of all) {
    const last = folded.at(-1);
    if (last?.line === line) last.times++;
    else folded.push({ line, times: 1 });
  }
  if (folded.length === 0) return "";
  const lines = folded
    .slice(0, shownLog)
    .map(({ line, times }) => `${indent}${line}${times > 1 ? ` × ${times}` : ""}\n`);
  const rest = folded.slice(shownLog).reduce((sum, { times }) => sum + times, 0);
  if (rest > 0) lines.push(`${indent}and ${count(rest)} more lines\n`);
  return `${paint("dim", "the kernel's log")}\n${lines.join("")}`;
}

/** What is counted, and whether it is shown where it is zero in every run. */
const counts: readonly { name: string; value: (result: RunResult) => number | string; always?: true }[] = [
  { name: "raised by devices", value: ({ raised }) => raised, always: true },
  { name: "delivered", value: ({ delivered }) => delivered, always: true },
  { name: "merged with one before", value: ({ coalesced }) => coalesced },
  { name: "blocked", value: ({ blocked }) => blocked },
  { name: "lost", value: ({ lost }) => lost, always: true },
  { name: "past their entries", value: ({ hijacked }) => hijacked },
  { name: "VM exits", value: exits, always: true },
  { name: "notifications", value: ({ notifications }) => notifications, always: true },
  { name: "host interrupts", value: ({ hostInterrupts }) => hostInterrupts },
  { name: "wake-ups", value: ({ wakeups }) => wakeups },
  { name: "IPIs taken", value: ({ ipis }) => ipis },
  { name: "entries remapped", value: ({ remapped }) => remapped },
  { name: "entries posted", value: ({ posted }) => posted },
  { name: "faults", value: faults, always: true },
  { name: "cycles (modelled)", value: ({ cycles }) => cycles },
];

/** The same counts of each run, beside one another. */
function summary(results: readonly RunResult[], paint: Paint): string {
  const header = ["", ...results.map(({ scenario }) => scenario)];
  const cells: string[][] = [];
  for (const { name, value, always } of counts) {
    const values = results.map(value);
    if (always === true || values.some((one) => one !== 0)) cells.push([name, ...values.map(shown)]);
  }
  return table(header, cells, paint);
}

function exits({ vmExits, vmExitsByReason }: RunResult): string {
  const reasons = Object.entries(vmExitsByReason).map(([reason, times]) => `${count(times)} ${reason}`);
  return reasons.length === 0 ? "0" : `${count(vmExits)} (${reasons.join(", ")})`;
}

function faults({ faults: kinds }: RunResult): string {
  return kinds.map(({ fault, count: times }) => `${fault} × ${count(times)}`).join(", ") || "none";
}

/** Which rules the blocked requests broke. */
function brokenRules(results: readonly RunResult[], paint: Paint): string {
  const cells: string[][] = [];
  for (const { scenario, faults: kinds } of results) {
    for (const { fault, rule, section, count: times } of kinds) {
      cells.push([scenario, fault, count(times), rule, section]);
    }
  }
  return cells.length === 0 ? "" : table(["", "fault", "times", "rule", "section"], cells, paint);
}

/** What the work cost in each of the two, as modelled, and where the figures come from. */
function costs(result: RunResult, other: RunResult, paint: Paint): string {
  const all = [...result.costs, ...other.costs];
  const names = [...new Set(all.map(({ name }) => name))];
  if (names.length === 0) return "";
  const rows = names.map((name, i) => {
    const { owner } = all.find((one) => one.name === name)!;
    return [name, owner, shareOf(result, name), shareOf(other, name), `[${i + 1}]`];
  });
  rows.push(["all of the host's CPUs", "host", count(result.cycles), count(other.cycles), ""]);
  const sources = names.map((name, i) => {
    const { source } = all.find((one) => one.name === name)!;
    return paint("dim", `[${i + 1}] ${wrap(source, "    ", 118)}`);
  });
  const header = ["modelled cycles", "whose", result.scenario, other.scenario, ""];
  return `${table(header, rows, paint)}${sources.map((line) => `${line}\n`).join("")}`;
}

/** How often, times how many cycles. */
function shareOf({ costs: shares }: RunResult, name: string): string {
  const share = shares.find((one) => one.name === name);
  return share === undefined ? "-" : `${count(share.times)} × ${count(share.cycles / share.times)}`;
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
