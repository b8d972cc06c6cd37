import type { CheckResult } from "@intremap/core";
import { type Paint, count } from "./output.ts";

/** What a reader of a trace made no use of: lines that it could not use, by reason, and those that tell it nothing, by event. */
export function reportPassedOver(
  { skipped, ignored }: Pick<CheckResult, "skipped" | "ignored">,
  command: string,
  paint: Paint,
): string {
  let text = "";
  for (const [reason, { count: times, line }] of Object.entries(skipped)) {
    text += `${paint("yellow", "skipped")} ${lineCount(times)}, the first is line ${line}: ${reason}\n`;
  }
  const events = Object.values(ignored);
  if (events.length === 0) return text;
  const total = events.reduce((sum, times) => sum + times, 0);
  const ignoredLines = `ignored ${lineCount(total)} of ${events.length} events that ${command} has no use for`;
  return `${text}${paint("dim", ignoredLines)}\n`;
}

function lineCount(number: number): string {
  return number === 1 ? "1 line" : `${count(number)} lines`;
}
