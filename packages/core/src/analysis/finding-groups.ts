import type { Explanation } from "./explain.ts";
import type { Finding } from "./finding.ts";

/** Findings that differ in their line only. */
export interface FindingGroup {
  readonly finding: Finding;
  readonly lines: readonly number[];
  /** Not all findings were kept: there may be more of it. */
  readonly cut: boolean;
}

/** In the order of the first of each. */
export function groupFindings({
  findings,
  omitted,
}: Pick<Explanation, "findings" | "omitted">): FindingGroup[] {
  const groups = new Map<string, { readonly finding: Finding; readonly lines: number[] }>();
  for (const finding of findings) {
    const key = `${finding.rule}\0${finding.what}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { finding, lines: [finding.line] });
    else group.lines.push(finding.line);
  }
  return [...groups.values()].map(({ finding, lines }) => ({ finding, lines, cut: omitted > 0 }));
}

const printedLines = 8;

/** Where a group was seen: `line 3`, `12 times, lines 1, 2 and 10 more`, `at least 12 times, lines 1, 2 …`. */
export function printPlaces({ lines, cut }: FindingGroup): string {
  const first = lines.slice(0, printedLines).join(", ");
  const hidden = lines.length - printedLines;
  const more = cut ? " …" : hidden > 0 ? ` and ${hidden} more` : "";
  const times = `${cut ? "at least " : ""}${lines.length.toLocaleString("en")} times, lines`;
  return `${lines.length === 1 ? "line" : times} ${first}${more}`;
}

/** A reason before a finding's name: `26h `; empty where there is none. */
export function printReason({ finding: { reason } }: FindingGroup): string {
  return reason === null ? "" : `${reason.toString(16).padStart(2, "0").toUpperCase()}h `;
}
