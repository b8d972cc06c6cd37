import type { TimelineData } from "@intremap/core";
import type { TimelineSource } from "../../state/timeline.ts";
import { countText } from "./time-text.ts";

/** What a timeline is called as a file: two of one scenario are told apart. */
export function savedName(source: TimelineSource): string {
  return `${source.kind === "file" ? source.name.replace(/(?:\.log)?(?:\.gz|\.xz)?$/, "") : runName(source)}.pftrace`;
}

function runName({ scenario, variant, values }: TimelineSource & { kind: "scenario" }): string {
  const chosen = Object.entries(values).map(([name, value]) => `${name}-${value}`);
  return [scenario, ...(variant === undefined ? [] : [variant]), ...chosen].join("-");
}

/** What a file of a timeline that is too long does not hold, and how to have it; nothing of one that is whole. */
export function savedPart({ start, leftOut }: TimelineData, source: TimelineSource): string {
  if (leftOut === 0) return "";
  const part = `the first ${countText(start.length)} of ${countText(start.length + leftOut)} events`;
  if (source.kind === "file" || source.variant !== undefined) return part;
  const values = Object.entries(source.values).map(([name, value]) => ` --${name} ${value}`);
  return `${part}; all: intremap run ${source.scenario}${values.join("")} --timeline FILE`;
}
