import { type FollowStep, type Row, type UnitDecision, hex, msiSpec } from "@intremap/core";
import type { Paint, Style } from "./output.ts";

const verdictStyles: Readonly<Record<FollowStep["verdict"], Style>> = {
  held: "green",
  delivered: "green",
  posted: "green",
  "passed here": "green",
  "not checked": "yellow",
  "not known": "yellow",
  "blocked here": "red",
  "lost here": "red",
  "not sent": "red",
  "does not apply": "dim",
  "not reached": "dim",
};

const titleWidth = 45;
const sectionWidth = 20;

/** A step as it is printed; `note` goes behind its detail. */
interface PrintedStep extends Pick<FollowStep, "step" | "title" | "verdict" | "section" | "detail"> {
  readonly note?: string;
}

/** Steps of a path, one a line. */
export function stepLines(steps: readonly PrintedStep[], paint: Paint): string {
  return steps
    .map(({ step, title, verdict, section, detail, note = "" }) => {
      const mark = paint(verdictStyles[verdict], verdict.padEnd(14));
      const number = String(step).padStart(2);
      const text = [detail, note].filter((part) => part !== "").join("  ");
      return `  ${number}  ${title.padEnd(titleWidth)}  ${mark}  ${(section ?? "").padEnd(sectionWidth)}  ${text}`.trimEnd();
    })
    .join("\n");
}

/** A request with its fields, and the entry that it came to. */
export function requestRows({ request, decoded, index, entry }: UnitDecision): string[][] {
  const rows = [
    ["MSI write", `addr ${hex(request.address)}, data ${hex(request.data)}`],
    ["", fields(decoded)],
  ];
  if (index !== null) rows.push(["index", String(index)]);
  if (entry !== null) {
    const place = entry.address === null ? "" : ` at ${hex(entry.address)}`;
    const where = entry.cached ? ", held by the unit" : place;
    rows.push(["entry", `${entry.value.toString(16).padStart(entry.width / 4, "0")}${where}`]);
    rows.push(["", fields(entry.fields)]);
  }
  return rows;
}

/** What left the unit. */
export function deliveryRows({ message, delivery }: UnitDecision): string[][] {
  const rows: string[][] = [];
  if (message !== null) rows.push(["message", `addr ${hex(message.address)}, data ${hex(message.data)}`]);
  if (delivery !== null) {
    const mode = delivery.logical ? "logical" : "physical";
    const modes: Readonly<Record<number, string>> = msiSpec.deliveryModes;
    const kind = modes[delivery.deliveryMode] ?? "reserved delivery mode";
    const trigger = delivery.level ? "level" : "edge";
    rows.push([
      "local APIC",
      `vector ${delivery.vector} (${hex(delivery.vector)}), ${mode} destination ${hex(delivery.destination)}, ${kind}, ${trigger}`,
    ]);
  }
  return rows;
}

/** Names and texts, two columns. */
export function pairs(rows: readonly (readonly string[])[]): string {
  return rows.map(([name, text]) => `  ${name!.padEnd(13)} ${text}\n`).join("");
}

/** Fields that are set or have a meaning, on one line. */
export function fields(rows: readonly Row[]): string {
  return rows
    .filter(({ value, meaning }) => meaning !== undefined || BigInt(value) !== 0n)
    .map(({ name, value, meaning }) => `${name}=${hex(value)}${meaning === undefined ? "" : ` (${meaning})`}`)
    .join(", ");
}
