import {
  type FollowedInterrupt,
  type FollowedVcpu,
  type Following,
  type UnitDecision,
  documentText,
  hex,
} from "@intremap/core";
import { Fragment } from "preact";
import { Notice } from "../../parts/notice.tsx";
import { RuleNote } from "../../parts/rule-note.tsx";
import { SaveFile } from "../../parts/save-file.tsx";
import { useHeading } from "../../parts/use-heading.ts";
import { useTask } from "../../engine/use-task.ts";
import { stepThrough, whichOf } from "../../state/followed.ts";
import { hostEngine } from "../../state/host.ts";
import { change, hrefOf } from "../../state/route.ts";
import { FollowSteps } from "./follow-steps.tsx";
import { Origins } from "./origins.tsx";

interface FollowPanelProps {
  readonly subject: string;
  /** Which reading of the source: another one is followed anew. */
  readonly reading: number;
}

/** The way of one interrupt, as `follow` tells it. */
export function FollowPanel({ subject, reading }: FollowPanelProps) {
  const task = useTask(hostEngine, "hostFollow", subject, subject, "finishes", reading);
  const part = useHeading();
  return (
    <section class="follow" ref={part}>
      <div class="head">
        <h2 tabIndex={-1}>Path of {subject}</h2>
        <button
          type="button"
          onClick={() => change({ at: undefined, which: undefined, step: undefined }, "push")}
        >
          Findings
        </button>
      </div>
      {task.state === "running" ? <p role="status">Following…</p> : null}
      {task.state === "failed" ? (
        <Notice kind="error" title="This cannot be followed">
          {task.message}
        </Notice>
      ) : null}
      {task.state === "done" ? <Found found={task.result} /> : null}
    </section>
  );
}

function Found({ found }: { readonly found: Following | FollowedVcpu }) {
  return (
    <>
      {found.kind === "vcpu" ? <OfVcpu found={found} /> : <OfInterrupts found={found} />}
      <p class="buttons">
        {found.kind === "vcpu" || found.interrupts.length === 0 ? null : (
          <button type="button" onClick={() => stepThrough(found.subject)}>
            Step through it in Path
          </button>
        )}
        <SaveFile
          label="Path as JSON"
          name="follow.json"
          type="application/json"
          content={() => documentText("follow", { path: pathOf(found), ...found })}
        />
      </p>
    </>
  );
}

/** The steps of the one that was followed, as `follow --json` has them. */
function pathOf(found: Following | FollowedVcpu): readonly object[] {
  if (found.kind === "vcpu") return [];
  const [only, ...others] = found.interrupts;
  return only === undefined || others.length > 0 ? [] : only.path;
}

function OfInterrupts({ found: { interrupts } }: { readonly found: Following }) {
  if (interrupts.length === 0) return <p>No interrupt of it is known.</p>;
  const which = whichOf(interrupts);
  const one = interrupts[which - 1]!;
  return (
    <>
      {interrupts.length > 1 ? (
        <label class="which">
          {interrupts.length} interrupts{" "}
          <select
            value={String(which)}
            onChange={({ currentTarget: { value } }) => change({ which: value, step: undefined }, "push")}
          >
            {interrupts.map(({ title, outcome }, at) => (
              <option key={at} value={String(at + 1)}>
                {`${title}: ${outcome}`}
              </option>
            ))}
          </select>
        </label>
      ) : null}
      <Interrupt key={which} one={one} />
    </>
  );
}

const marks: Readonly<Record<FollowedInterrupt["outcome"], readonly [mark: string, tone: string]>> = {
  delivered: ["✓", "good"],
  posted: ["✓", "good"],
  blocked: ["✕", "bad"],
  lost: ["✕", "bad"],
  "not sent": ["✕", "bad"],
  "not known": ["?", "warn"],
};

function Outcome({ outcome, why }: Pick<FollowedInterrupt, "outcome" | "why">) {
  const [mark, tone] = marks[outcome];
  return (
    <p class={`outcome ${tone}`}>
      <span aria-hidden="true">{mark}</span> <strong>{outcome}</strong>: {why}
    </p>
  );
}

function Interrupt({ one }: { readonly one: FollowedInterrupt }) {
  const { title, decision, outcome, why, path, missing, passthrough, rule } = one;
  return (
    <>
      <p class="title">{title}</p>
      <Outcome outcome={outcome} why={why} />
      {rule === null ? null : <RuleNote id={rule} />}
      {decision === null ? null : (
        <dl class="request">
          <dt>Request</dt>
          <dd class="mono">
            <a href={hrefOf("bits", { kind: "msi", value: messageWords(decision.request) })} title="In Bits">
              {hex(decision.request.address)} / {hex(decision.request.data)}
            </a>
          </dd>
          {decision.index === null ? null : (
            <>
              <dt>Index</dt>
              <dd>{decision.index}</dd>
            </>
          )}
          {decision.entry === null ? null : (
            <>
              <dt>Entry</dt>
              <dd class="mono">
                <a href={hrefOf("bits", entryQuery(decision, decision.entry, one))} title="In Bits">
                  {hex(decision.entry.value)}
                </a>
                {decision.entry.cached ? " (kept by the unit)" : ""}
              </dd>
            </>
          )}
          {decision.ways.map(({ when, outcome: way, rule: by }, at) => (
            <Fragment key={at}>
              <dt>It can be</dt>
              <dd>
                {way} with {when} <code>{by}</code>
              </dd>
            </Fragment>
          ))}
        </dl>
      )}
      <FollowSteps path={path} />
      <Lacks missing={missing} />
      {passthrough === null ? null : <Passthrough {...passthrough} />}
    </>
  );
}

function messageWords({ address, data }: { readonly address: bigint; readonly data: number }): string {
  return `${address.toString(16)} ${data.toString(16)}`;
}

/** The entry as `decode` takes it, and the request that came to it. */
function entryQuery(
  { request }: Pick<UnitDecision, "request">,
  { value, width }: NonNullable<UnitDecision["entry"]>,
  { unit, device }: FollowedInterrupt,
): Record<string, string> {
  const kind = unit?.startsWith("ivhd") === true ? "amd-irte" : "irte";
  return {
    kind,
    value: value.toString(16).padStart(width / 4, "0"),
    msi: messageWords(request),
    ...(device !== null && /^[0-9a-f]+:..:..\..$/.test(device) ? { sid: device.slice(-7) } : {}),
  };
}

function Lacks({ missing }: Pick<FollowedInterrupt, "missing">) {
  if (missing.length === 0) return null;
  return (
    <>
      <h3>Not known</h3>
      <ul>
        {missing.map(({ what, needs }, at) => (
          <li key={at}>
            {what}
            {needs === null ? "" : `; needs ${needs}`}
          </li>
        ))}
      </ul>
    </>
  );
}

const conditionMarks = { held: "✓", "stops it": "✕", "not known": "?", "does not apply": "–" } as const;

function Passthrough({ posted, conditions }: NonNullable<FollowedInterrupt["passthrough"]>) {
  const state =
    posted === true
      ? "posted to a vCPU"
      : posted === false
        ? "not posted"
        : "whether it is posted is not known";
  return (
    <>
      <h3>Passed through: {state}</h3>
      <ul class="conditions">
        {conditions.map(({ id, title, verdict, detail, evidence }) => (
          <li key={id} class={verdict.replaceAll(" ", "-")}>
            <span aria-hidden="true">{conditionMarks[verdict]}</span> {title} <strong>{verdict}</strong>
            {detail === "" ? "" : `: ${detail}`} <Origins of={evidence} />
          </li>
        ))}
      </ul>
    </>
  );
}

function OfVcpu({ found }: { readonly found: FollowedVcpu }) {
  const { title, address, pending, posters, path, outcome, why, missing } = found;
  return (
    <>
      <p class="title">{title}</p>
      <Outcome outcome={outcome} why={why} />
      <dl class="request">
        {address === null ? null : (
          <>
            <dt>Descriptor</dt>
            <dd class="mono">{hex(address)}</dd>
            <dt>In PIR</dt>
            <dd>{pending.length === 0 ? "nothing" : pending.map((vector) => hex(vector)).join(", ")}</dd>
          </>
        )}
      </dl>
      {posters.length === 0 ? null : (
        <ul>
          {posters.map(({ unit, index, vector, irqs }, at) => (
            <li key={at}>
              entry {index} of {unit} posts vector {hex(vector)}
              {irqs.length === 0 ? "" : `, irq ${irqs.join(", ")}`}
            </li>
          ))}
        </ul>
      )}
      <FollowSteps path={path} />
      <Lacks missing={missing} />
    </>
  );
}
