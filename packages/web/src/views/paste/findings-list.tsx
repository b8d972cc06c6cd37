import type { Explanation, Finding } from "@intremap/core";
import { CopyButton } from "../../parts/copy-button.tsx";
import { RuleNote } from "../../parts/rule-note.tsx";
import { many } from "../../parts/words.ts";

/** Findings that differ in their line only. */
interface Group {
  readonly finding: Finding;
  readonly lines: number[];
}

function groupsOf(findings: readonly Finding[]): Group[] {
  const groups = new Map<string, Group>();
  for (const finding of findings) {
    const key = `${finding.rule}\0${finding.what}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { finding, lines: [finding.line] });
    else group.lines.push(finding.line);
  }
  return [...groups.values()];
}

/** Groups and remarks that are shown; the document has all. */
const shownGroups = 100;
const shownRemarks = 200;
const shownLines = 8;

function reasonOf(reason: number | null): string {
  return reason === null ? "" : `${reason.toString(16).padStart(2, "0").toUpperCase()}h `;
}

function linesOf(lines: readonly number[]): string {
  const shown = lines.slice(0, shownLines).join(", ");
  const more = lines.length > shownLines ? ` and ${lines.length - shownLines} more` : "";
  return lines.length === 1 ? `line ${shown}` : `${lines.length} times, lines ${shown}${more}`;
}

/** What `explain` finds in the text. */
export function FindingsList({
  explanation: { findings, remarks, omitted },
}: {
  readonly explanation: Explanation;
}) {
  const groups = groupsOf(findings);
  const left = groups.length - shownGroups + Math.max(0, remarks.length - shownRemarks) + omitted;
  return (
    <section class="explained" aria-label="What it says">
      {groups.slice(0, shownGroups).map(({ finding, lines }) => (
        <article key={`${finding.line} ${finding.rule}`} class="finding">
          <h3>
            ✗ {reasonOf(finding.reason)}
            {finding.name} <small>{linesOf(lines)}</small>
          </h3>
          <p>{finding.what}</p>
          {finding.causes.length === 0 ? null : (
            <>
              <h4>Likely causes</h4>
              <ol class="causes">
                {finding.causes.map((cause) => (
                  <li key={cause}>{cause}</li>
                ))}
              </ol>
            </>
          )}
          {finding.next.length === 0 ? null : (
            <>
              <h4>Next</h4>
              <ul class="next">
                {finding.next.map((step) => (
                  <li key={step}>
                    <code>{step}</code> <CopyButton label="Copy" text={step} />
                  </li>
                ))}
              </ul>
            </>
          )}
          <RuleNote id={finding.rule} />
        </article>
      ))}
      {remarks.length === 0 ? null : (
        <ul class="remarks">
          {remarks.slice(0, shownRemarks).map(({ line, what }) => (
            <li key={`${line} ${what}`}>
              <span class="faint">line {line}</span> {what}
            </li>
          ))}
        </ul>
      )}
      {left > 0 ? <p class="faint">{many(left, "more is", "more are")} not shown here.</p> : null}
    </section>
  );
}
