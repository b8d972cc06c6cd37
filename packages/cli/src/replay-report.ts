import { type Path, type ReplayResult, type Row, type Unchecked, hex, msiSpec } from "@intremap/core";
import { type Paint, type Style, table, count, unitNames } from "./output.ts";
import { reportPassedOver } from "./passed-over.ts";

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

const verdictStyles: Readonly<Record<Path["steps"][number]["verdict"], Style>> = {
  held: "green",
  delivered: "green",
  posted: "green",
  "passed here": "green",
  "not checked": "yellow",
  "blocked here": "red",
  "does not apply": "dim",
  "not reached": "dim",
};

function followed(path: Path, paint: Paint): string {
  const { request, entry, index, message, delivery } = path;
  const rows = [
    ["requester", `${path.requester}${requesterNote(path)}`],
    ["MSI write", `addr ${hex(request.address)}, data ${hex(request.data)}`],
    ["", fields(path.decoded)],
  ];
  if (index !== null) rows.push(["index", String(index)]);
  if (entry !== null) {
    const place = entry.address === null ? "" : ` at ${hex(entry.address)}`;
    const where = entry.cached ? ", held by the unit" : place;
    rows.push(["entry", `${entry.value.toString(16).padStart(entry.width / 4, "0")}${where}`]);
    rows.push(["", fields(entry.fields)]);
  }
  const steps = path.steps.map(({ step, title, verdict, section, detail }) => {
    const mark = paint(verdictStyles[verdict], verdict.padEnd(14));
    return `  ${String(step).padStart(2)}  ${title.padEnd(45)}  ${mark}  ${section.padEnd(20)}  ${detail}`.trimEnd();
  });
  const end: string[][] = [];
  if (message !== null) end.push(["message", `addr ${hex(message.address)}, data ${hex(message.data)}`]);
  if (delivery !== null) {
    const mode = delivery.logical ? "logical" : "physical";
    const modes: Readonly<Record<number, string>> = msiSpec.deliveryModes;
    const kind = modes[delivery.deliveryMode] ?? "reserved delivery mode";
    const trigger = delivery.level ? "level" : "edge";
    end.push([
      "local APIC",
      `vector ${delivery.vector} (${hex(delivery.vector)}), ${mode} destination ${hex(delivery.destination)}, ${kind}, ${trigger}`,
    ]);
  }
  end.push([
    "in the trace",
    path.agreed ? paint("green", "the same") : paint("red", "something else, see above"),
  ]);
  const title = paint("bold", `request ${path.ordinal}, lines ${path.line} to ${path.lastLine}`);
  return `${title}\n${pairs(rows)}${steps.join("\n")}\n${pairs(end)}`;
}

function requesterNote({ requesterKnown, requester, vendor }: Path): string {
  if (requesterKnown || requester === "unknown") return "";
  return vendor === "intel"
    ? ", as its entry says; the trace does not give it"
    : ": the trace gives 8 bits of the DeviceID";
}

function pairs(rows: readonly (readonly string[])[]): string {
  return rows.map(([name, text]) => `  ${name!.padEnd(13)} ${text}\n`).join("");
}

/** Fields that are set or have a meaning, on one line. */
function fields(rows: readonly Row[]): string {
  return rows
    .filter(({ value, meaning }) => meaning !== undefined || BigInt(value) !== 0n)
    .map(({ name, value, meaning }) => `${name}=${hex(value)}${meaning === undefined ? "" : ` (${meaning})`}`)
    .join(", ");
}

function list(numbers: readonly number[]): string {
  const shown = numbers.slice(0, shownNumbers).join(",");
  return numbers.length > shownNumbers ? `${shown},… (${numbers.length})` : shown || "-";
}
