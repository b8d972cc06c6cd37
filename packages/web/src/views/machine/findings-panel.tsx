import type { AuditFinding, Severity } from "@intremap/core";
import type { HostSummary } from "../../engine/map/summary.ts";
import { RuleNote } from "../../parts/rule-note.tsx";
import { useHeading } from "../../parts/use-heading.ts";
import { change, hrefOf, route } from "../../state/route.ts";
import { Origins } from "./origins.tsx";
import { many } from "../../parts/words.ts";

/** Marks that differ in more than their colour. */
const marks: Readonly<Record<Severity, string>> = { high: "▲", medium: "◆", low: "●", info: "○" };
const mostEvidence = 12;

/** What the audit found, the gravest first; what it could not look at. */
export function FindingsPanel({ audit }: { readonly audit: HostSummary["audit"] }) {
  const { findings, tally, omitted, checked, notChecked } = audit;
  const { query } = route.value;
  const open = Number(query["finding"] ?? 0);
  const part = useHeading();
  const left = findings.all - findings.first.length + omitted;
  return (
    <section class="findings" ref={part}>
      <h2 tabIndex={-1}>Findings</h2>
      <p class="tally">
        {tally.length > 0 ? null : notChecked.length === 0 ? (
          <span class="good">None.</span>
        ) : (
          <span>None in what could be checked.</span>
        )}
        {tally.map(([severity, count]) => (
          <span key={severity} class={`severity ${severity}`}>
            <span aria-hidden="true">{marks[severity]}</span> {count} {severity}
          </span>
        ))}
        <span class="faint">
          {many(checked, "rule")} checked
          {notChecked.length === 0 ? null : (
            <>
              ,{" "}
              <a href={hrefOf("machine", { ...query, show: "missing" })}>
                {notChecked.length} not or in part
              </a>
            </>
          )}
        </span>
      </p>
      <ul>
        {findings.first.map((finding, at) => (
          <Finding key={at} finding={finding} number={at + 1} open={open === at + 1} />
        ))}
      </ul>
      {left > 0 ? <p class="faint">and {left.toLocaleString("en")} more: save the audit</p> : null}
    </section>
  );
}

interface FindingProps {
  readonly finding: AuditFinding;
  readonly number: number;
  readonly open: boolean;
}

function Finding({ finding, number, open }: FindingProps) {
  const { severity, subject, title, evidence, why, fix, rule } = finding;
  const followed = followable(subject);
  return (
    <li class={`audit-finding ${severity}`}>
      <button
        type="button"
        class="head"
        aria-expanded={open}
        onClick={() => change({ finding: open ? undefined : String(number) }, "replace")}
      >
        <span class={`severity ${severity}`}>
          <span aria-hidden="true">{marks[severity]}</span> {severity}
        </span>{" "}
        <strong>{subject.name}</strong>
        <span class="title">{title}</span>
      </button>
      {open ? (
        <div class="body">
          <dl>
            <dt>Why</dt>
            <dd>{why}</dd>
            <dt>Fix</dt>
            <dd>{fix}</dd>
            <dt>Seen</dt>
            <dd>
              <ul class="seen">
                {evidence.slice(0, mostEvidence).map(({ what, origin }, at) => (
                  <li key={at}>
                    {what} <Origins of={[origin]} />
                  </li>
                ))}
                {evidence.length > mostEvidence ? <li>and {evidence.length - mostEvidence} more</li> : null}
              </ul>
            </dd>
          </dl>
          <RuleNote id={rule} />
          {followed === null ? null : (
            <button
              type="button"
              onClick={() => change({ at: followed, which: undefined, step: undefined }, "push")}
            >
              Follow {followed}
            </button>
          )}
        </div>
      ) : null}
    </li>
  );
}

/** What `follow` takes for what a finding is about; null where that is nothing to follow. */
function followable({ kind, name }: AuditFinding["subject"]): string | null {
  if (kind === "device" || kind === "interrupt") return name;
  const entry = /^entry (\d+) of (?:(\S+) at )?(\S+)$/.exec(name);
  if (kind !== "entry" || entry === null) return null;
  const [, index, requester, unit] = entry;
  return `${unit}:${requester === undefined ? "" : `${requester}:`}${index}`;
}
