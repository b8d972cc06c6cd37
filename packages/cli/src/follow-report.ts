import {
  type Condition,
  type FollowStep,
  type FollowedInterrupt,
  type FollowedVcpu,
  type Following,
  hex,
} from "@intremap/core";
import { type Paint, type Style, table } from "./output.ts";
import { deliveryRows, fields, pairs, requestRows, stepLines } from "./path-report.ts";

/** What `follow` prints for people. */
export function reportFollowing(found: Following | FollowedVcpu, paint: Paint): string {
  if (found.kind === "vcpu") return vcpuReport(found, paint);
  const { interrupts } = found;
  const overview = interrupts.length > 1 ? [inShort(interrupts, paint)] : [];
  return [...overview, ...interrupts.map((one) => interruptReport(one, paint))].join("\n");
}

function inShort(interrupts: readonly FollowedInterrupt[], paint: Paint): string {
  const rows = interrupts.map(({ vector, irq, actions, unit, decision, outcome, why }) => [
    vector === null ? "-" : String(vector),
    irq === null ? "-" : String(irq),
    actions.join(", "),
    unit ?? "-",
    decision?.index === null || decision === null ? "-" : String(decision.index),
    outcome,
    why,
  ]);
  return table(["vector", "irq", "handlers", "unit", "entry", "outcome", ""], rows, paint);
}

const outcomeStyles: Readonly<Record<FollowedInterrupt["outcome"], Style>> = {
  delivered: "green",
  posted: "green",
  blocked: "red",
  lost: "red",
  "not sent": "red",
  "not known": "yellow",
};

function interruptReport(one: FollowedInterrupt, paint: Paint): string {
  const { title, path, decision, outcome, rule, why, missing, passthrough } = one;
  const request = decision === null ? "" : pairs(requestRows(decision));
  const end = [
    ...(decision === null ? [] : deliveryRows(decision)),
    ["outcome", `${paint(outcomeStyles[outcome], outcome)}: ${why}`],
    ...(rule === null ? [] : [["", paint("dim", `by ${rule}`)]]),
    ...(decision?.ways ?? []).map(({ when, outcome: way, rule: by }, i) => [
      i === 0 ? "it can be" : "",
      `${way} with ${when}  ${paint("dim", `by ${by}`)}`,
    ]),
    ...missing.map(({ what, needs }) => ["not known", `${what}${needs === null ? "" : `; needs ${needs}`}`]),
  ];
  const posting = passthrough === null ? "" : passthroughReport(passthrough, paint);
  return `${paint("bold", title)}\n${request}${steps(path, paint)}\n${pairs(end)}${posting}`;
}

function steps(path: readonly FollowStep[], paint: Paint): string {
  return stepLines(
    path.map((step) => ({
      ...step,
      note: step.evidence.length === 0 ? "" : paint("dim", `[${sources(step)}]`),
    })),
    paint,
  );
}

/** The places of a step's evidence, those of one source together. */
function sources({ evidence }: Pick<FollowStep, "evidence">): string {
  const places = new Map<string, string[]>();
  for (const { source, place } of evidence) {
    const known = places.get(source) ?? [];
    places.set(source, known);
    if (place !== undefined && !known.includes(place)) known.push(place);
  }
  return [...places].map(([source, known]) => [source, ...known].join(" ")).join("; ");
}

const conditionStyles: Readonly<Record<Condition["verdict"], Style>> = {
  held: "green",
  "stops it": "red",
  "not known": "yellow",
  "does not apply": "dim",
};

function passthroughReport(
  { posted, conditions }: NonNullable<FollowedInterrupt["passthrough"]>,
  paint: Paint,
): string {
  if (posted === true) return pairs([["passthrough", paint("green", "posted to a vCPU")]]);
  const stop = conditions.find(({ verdict }) => verdict === "stops it");
  const why = stop === undefined ? "no condition that is known stops it" : stop.detail;
  const state =
    posted === null ? paint("yellow", "whether it is posted is not known") : paint("red", "not posted");
  const lines = conditions.map((condition) => {
    const { title, verdict, detail } = condition;
    const note = condition.evidence.length === 0 ? "" : `  ${paint("dim", `[${sources(condition)}]`)}`;
    return `      ${title.padEnd(51)}  ${paint(conditionStyles[verdict], verdict.padEnd(14))}  ${detail}${note}\n`;
  });
  return `${pairs([["passthrough", `${state}: ${why}`]])}${lines.join("")}`;
}

function vcpuReport(found: FollowedVcpu, paint: Paint): string {
  const { title, address, descriptor, pending, posters, path, outcome, why, missing } = found;
  const rows: string[][] = [];
  if (address !== null) rows.push(["descriptor", hex(address)]);
  if (descriptor !== null) {
    rows.push([
      "",
      fields(descriptor.filter(({ name }) => name !== "pir" && name !== "software")) || "all zeros",
    ]);
    rows.push(["in PIR", pending.length === 0 ? "nothing" : pending.map((vector) => hex(vector)).join(", ")]);
  }
  const users = posters.map(({ unit, requester, index, vector, irqs }, i) => [
    i === 0 ? "posted to by" : "",
    `entry ${requester === null ? "" : `${hex(requester)}:`}${index} of ${unit}, vector ${hex(vector)}${irqs.length === 0 ? "" : `, irq ${irqs.join(", ")}`}`,
  ]);
  if (users.length === 0 && address !== null) users.push(["posted to by", "no entry that is known"]);
  const end = [
    ["outcome", `${paint(outcome === "posted" ? "green" : "yellow", outcome)}: ${why}`],
    ...missing.map(({ what, needs }) => ["not known", `${what}${needs === null ? "" : `; needs ${needs}`}`]),
  ];
  return `${paint("bold", title)}\n${pairs([...rows, ...users])}${steps(path, paint)}\n${pairs(end)}`;
}
