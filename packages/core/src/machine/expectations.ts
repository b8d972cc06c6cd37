import type { FaultTally } from "./fault-tally.ts";
import type { RunResult } from "./result.ts";
import type { Expectation, Expected } from "./scenario/scenario.ts";
import type { Totals } from "./totals.ts";

/** What a run came to, as far as something can be expected of it. */
export type Measured = Totals &
  Pick<RunResult, "remapped" | "posted" | "remapping" | "x2apic" | "posting" | "dataEqual" | "log">;

const amounts = [
  "delivered",
  "lost",
  "coalesced",
  "blocked",
  "hijacked",
  "vmExits",
  "notifications",
  "hostInterrupts",
  "posted",
  "remapped",
  "wakeups",
  "ipis",
] as const;

const states = ["dataEqual", "x2apic", "remapping", "posting"] as const;

/** What was expected and is not so. @param failures what the script's software refused. */
export function unmetOf(
  expect: Expectation,
  measured: Measured,
  faults: FaultTally,
  failures: readonly string[],
): string[] {
  const unmet = unmetFailures(expect, failures);
  const hold = (name: string, wanted: Expected | undefined, found: number): void => {
    if (wanted !== undefined && !meets(wanted, found))
      unmet.push(`${name} is ${found}, expected ${phraseOfExpected(wanted)}`);
  };
  for (const name of amounts) hold(name, expect[name], measured[name]);
  for (const [label, wanted] of Object.entries(expect.faults ?? {}))
    hold(`faults ${label}`, wanted, faults.of(label));
  for (const name of states) {
    const wanted = expect[name];
    if (wanted !== undefined && measured[name] !== wanted)
      unmet.push(`${name} is ${measured[name]}, expected ${wanted}`);
  }
  for (const line of expect.log ?? []) {
    if (!measured.log.some((printed) => printed.includes(line)))
      unmet.push(`the kernel did not print "${line}"`);
  }
  for (const line of expect.logLacks ?? []) {
    if (measured.log.some((printed) => printed.includes(line))) unmet.push(`the kernel printed "${line}"`);
  }
  return unmet;
}

/** Refusals that were not expected, or that did not come. */
function unmetFailures({ fails }: Expectation, failures: readonly string[]): string[] {
  if (fails === undefined) return [...failures];
  const met = failures.some((failure) => failure.includes(fails));
  return met ? [] : [...failures, `nothing was refused with "${fails}"`];
}

function meets(wanted: Expected, found: number): boolean {
  if (typeof wanted === "number") return found === wanted;
  return found >= (wanted.atLeast ?? 0) && found <= (wanted.atMost ?? Infinity);
}

function phraseOfExpected(wanted: Expected): string {
  if (typeof wanted === "number") return String(wanted);
  const { atLeast, atMost } = wanted;
  return [atLeast === undefined ? "" : `at least ${atLeast}`, atMost === undefined ? "" : `at most ${atMost}`]
    .filter((part) => part !== "")
    .join(" and ");
}

/** Losses and refusals of which the scenario says nothing. */
export function unexpectedOf({ lost, blocked, faults, hijacked }: Expectation, totals: Totals): string[] {
  const findings: string[] = [];
  if (lost === undefined && totals.lost > 0) findings.push(`${totals.lost} interrupts were lost`);
  if (blocked === undefined && faults === undefined && totals.blocked > 0)
    findings.push(`${totals.blocked} interrupts were blocked`);
  if (hijacked === undefined && totals.hijacked > 0)
    findings.push(`${totals.hijacked} interrupts went past their entries`);
  return findings;
}
