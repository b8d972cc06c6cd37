import { type Explanation, groupFindings, printPlaces, printReason } from "@intremap/core";
import { CopyButton } from "../../parts/copy-button.tsx";
import { RuleNote } from "../../parts/rule-note.tsx";
import { many } from "../../parts/words.ts";

/** Groups and remarks that are shown; the document has all. */
const shownGroups = 100;
const shownRemarks = 200;

/** What `explain` finds in the text. */
export function FindingsList({ explanation }: { readonly explanation: Explanation }) {
  const { remarks, omitted } = explanation;
  const groups = groupFindings(explanation);
  const left = groups.length - shownGroups + Math.max(0, remarks.length - shownRemarks) + omitted;
  return (
    <section class="explained" aria-label="What it says">
      {groups.slice(0, shownGroups).map((group) => (
        <article key={`${group.finding.line} ${group.finding.rule}`} class="finding">
          <h3>
            ✗ {printReason(group)}
            {group.finding.name} <small>{printPlaces(group)}</small>
          </h3>
          <p>{group.finding.what}</p>
          {group.finding.causes.length === 0 ? null : (
            <>
              <h4>Likely causes</h4>
              <ol class="causes">
                {group.finding.causes.map((cause) => (
                  <li key={cause}>{cause}</li>
                ))}
              </ol>
            </>
          )}
          {group.finding.next.length === 0 ? null : (
            <>
              <h4>Next</h4>
              <ul class="next">
                {group.finding.next.map((step) => (
                  <li key={step}>
                    <code>{step}</code> <CopyButton label="Copy" text={step} />
                  </li>
                ))}
              </ul>
            </>
          )}
          <RuleNote id={group.finding.rule} />
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
