import { RuleNote } from "../../parts/rule-note.tsx";
import type { Subject } from "../../parts/subject.ts";

/** Which rules the value breaks, and what follows from it. */
export function Verdict({ subject: { violations, notes, readings } }: { readonly subject: Subject }) {
  return (
    <section class="bits-verdict" aria-label="Verdict">
      <h3>{violations.some(({ when }) => when === null) ? "Breaks a rule" : "Rules"}</h3>
      <div role="status">
        {violations.length === 0 ? <p class="sound">✓ breaks no rule</p> : null}
        <ul class="violations">
          {violations.map(({ rule, found, when }) => (
            <li key={`${rule} ${found}`} class={when === null ? "broken" : "perhaps"}>
              <strong>
                {when === null ? "✗" : "△"} {found}
              </strong>
              {when === null ? null : <span class="when"> with {when}</span>}
              <RuleNote id={rule} />
            </li>
          ))}
        </ul>
      </div>
      {notes.length === 0 && readings.length === 0 ? null : (
        <ul class="notes">
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
          {readings.map(({ as, fields }) => (
            <li key={as}>
              read by {as}:{" "}
              {Object.entries(fields)
                .map(([name, value]) => `${name} ${value}`)
                .join(", ")}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
