import type { Path, ReplayResult, Unchecked } from "@intremap/core";
import { type Paint, table, count, unitNames } from "./output.ts";
import { reportPassedOver } from "./passed-over.ts";
import { deliveryRows, pairs, requestRows, stepLines } from "./path-report.ts";

const shownDisagreements = 20;
const shownNumbers = 8;

const uncheckedTexts: Readonly<Record<Unchecked, string>> = {
  sourceId: "source-id verification: the trace does not give the requester",
  delivery: "delivery to the local APICs: the trace has no apic_deliver_irq line for it",
  entry: "the outcome: the trace does not show the entry",
  outcome: "the outcome: the trace ends before it",
  damaged: "the outcome: a line of the request could not be read",
  registers: "the unit's setup: the trace starts after it, and it was inferred",
  tableLength: "the index against IntTabLen: the trace does not give it",
  deviceTable: "the device table entry: the trace does not give it",
  invalidatedDevice: "which device's table was invalidated: the trace does not say, every one was",
};

/** What `replay` prints for people. */
export function reportReplay(result: ReplayResult, paint: Paint): string {
  const parts = [summary(result, paint), requesters(result, paint)];
  if (result.disagreedCount > 0) parts.push(disagreements(result, paint));
  parts.push(remarks(result, paint));
  if (result.followed !== undefined) parts.push(followed(result.followed, paint));
  return parts.filter((part) => part !== "").join("\n");
}

function summary(result: ReplayResult, paint: Paint): string {
  const { requests, agreed, disagreedCount } = result;
  const open = requests - agreed - disagreedCount;
  const counts = [
    paint("green", `${count(agreed)} agree`),
    disagreedCount > 0 ? paint("red", `${count(disagreedCount)} disagree`) : "0 disagree",
    ...(open > 0 ? [paint("yellow", `${count(open)} not compared`)] : []),
  ];
  return (
    `${unitNames[result.vendor]}, ${count(result.lines)} lines, profile ${result.profile}\n` +
    `${paint("bold", `${count(requests)} interrupt requests`)}: ${counts.join(", ")}\n`
  );
}

function requesters({ requesters: rows, vendor }: ReplayResult, paint: Paint): string {
  const tables = vendor === "amd";
  const header = [
    "requester",
    ...(tables ? ["table"] : []),
    "entries",
    "requests",
    "agree",
    "vectors",
    "destinations",
  ];
  const cells = rows.map((row) => [
    row.requester,
    ...(tables ? [row.table ?? "-"] : []),
    count(row.entries),
    count(row.requests),
    count(row.agreed),
    list(row.vectors),
    list(row.destinations),
  ]);
  return table(header, cells, paint);
}

function disagreements({ disagreed, disagreedCount }: ReplayResult, paint: Paint): string {
  const shown = disagreed.slice(0, shownDisagreements);
  const lines = shown.map(
    ({ line, expected, got, rule }) =>
      `${paint("red", `line ${line}:`)} the trace says ${expected}\n` +
      `  the model says ${got}\n  ${paint("dim", `by ${rule}`)}\n`,
  );
  const rest = disagreedCount - shown.length;
  if (rest > 0) lines.push(`and ${count(rest)} more\n`);
  return lines.join("");
}

function remarks({ notChecked, skipped, ignored }: ReplayResult, paint: Paint): string {
  const lines = Object.entries(notChecked).map(
    ([what, times]) =>
      `${paint("yellow", "not checked")} ${count(times)} × ${uncheckedTexts[what as Unchecked]}\n`,
  );
  return lines.join("") + reportPassedOver({ skipped, ignored }, "replay", paint);
}

function followed(path: Path, paint: Paint): string {
  const rows = [["requester", `${path.requester}${requesterNote(path)}`], ...requestRows(path)];
  const end = [
    ...deliveryRows(path),
    ["in the trace", path.agreed ? paint("green", "the same") : paint("red", "something else, see above")],
  ];
  const title = paint("bold", `request ${path.ordinal}, lines ${path.line} to ${path.lastLine}`);
  return `${title}\n${pairs(rows)}${stepLines(path.steps, paint)}\n${pairs(end)}`;
}

function requesterNote({ requesterKnown, requester, vendor }: Path): string {
  if (requesterKnown || requester === "unknown") return "";
  return vendor === "intel"
    ? ", as its entry says; the trace does not give it"
    : ": the trace gives 8 bits of the DeviceID";
}

function list(numbers: readonly number[]): string {
  const shown = numbers.slice(0, shownNumbers).join(",");
  return numbers.length > shownNumbers ? `${shown},… (${numbers.length})` : shown || "-";
}
