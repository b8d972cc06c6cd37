import type { Context, TrialResult } from "@intremap/core";
import { useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import { Notice } from "../../parts/notice.tsx";
import { MemoryTexts, RequestText } from "../../parts/request-text.tsx";
import { RuleNote } from "../../parts/rule-note.tsx";
import { outcomeSign, verdictSign } from "../../parts/verdict.tsx";
import { change, hrefOf, route } from "../../state/route.ts";
import type { Subject } from "../../parts/subject.ts";
import {
  type Prepared,
  type TrialChoice,
  canBeTried,
  clauseOf,
  pathQuery,
  prepare,
  withoutMistakes,
} from "../../parts/trial-of.ts";

interface TrialPanelProps {
  readonly subject: Subject;
  readonly context: Context;
}

/** The same request, sent again to a unit that holds what is shown: what becomes of it now. */
export function TrialPanel({ subject, context }: TrialPanelProps) {
  return canBeTried(subject) ? <Sending subject={subject} context={context} /> : null;
}

type Ready = { readonly prepared: Prepared } | { readonly wrong: string };

function made(subject: Subject, choice: TrialChoice, context: Context): Ready {
  try {
    return { prepared: prepare(subject, choice, context) };
  } catch (error) {
    return { wrong: (error as Error).message };
  }
}

function Sending({ subject, context }: TrialPanelProps) {
  const { query } = route.value;
  const engine = useEngine();
  const ready = made(subject, query, context);
  const trial = "prepared" in ready ? ready.prepared.trial : null;
  const key = trial === null ? "" : Object.entries(trial).join(" ");
  const task = useTask(engine, "tryRequest", trial, key);
  const [last, setLast] = useState<TrialResult | null>(null);
  if (task.state === "done" && task.result !== last) setLast(task.result);
  // While the next one is on its way the last one stands.
  const shown = task.state === "done" ? task.result : last;
  return (
    <section class="bits-trial">
      <h3>The request, sent again</h3>
      {"wrong" in ready ? (
        <Notice kind="error" title="This cannot be sent">
          {ready.wrong}.{" "}
          <button type="button" onClick={() => change(withoutMistakes, "push")}>
            Start from a sound request
          </button>
        </Notice>
      ) : (
        <Form prepared={ready.prepared} kind={subject.kind} />
      )}
      {task.state === "failed" ? (
        <Notice kind="error" title={task.message === "stopped" ? "Stopped" : "This cannot be sent"}>
          {task.message}
        </Notice>
      ) : null}
      {shown === null && task.state === "running" ? <p class="hint">The unit is being brought up …</p> : null}
      {shown !== null && task.state !== "failed" && "prepared" in ready ? (
        <div aria-busy={task.state === "running"}>
          <Outcome result={shown} />
          <a href={hrefOf("path", pathQuery(ready.prepared))}>Follow it in Path</a>
        </div>
      ) : null}
    </section>
  );
}

function choose(values: Readonly<Record<string, string | undefined>>): void {
  change(values, "push");
}

function Form({ prepared, kind }: { readonly prepared: Prepared; readonly kind: Subject["kind"] }) {
  const { message, entry, descriptor, deviceEntry, requester, profile, profiles } = prepared;
  const { query } = route.value;
  return (
    <div class="trial-form">
      {message === null ? null : <RequestText label="Message" name="msi" text={message} onText={choose} />}
      {entry === null ? null : <RequestText label="Entry" name="entry" text={entry} onText={choose} />}
      <RequestText label="From" name="sid" text={requester} onText={choose} />
      <MemoryTexts descriptor={descriptor} deviceEntry={deviceEntry} onText={choose} />
      <label>
        Hardware
        <select
          value={profile}
          onChange={({ currentTarget }) => change({ profile: currentTarget.value }, "push")}
        >
          {profiles.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      {kind === "msi" && prepared.trial.vendor === "intel" ? (
        <label title="GCMD.CFI=1 and EIME=0: requests in compatibility format pass">
          <input
            type="checkbox"
            checked={query["cfi"] === "1"}
            onChange={({ currentTarget }) => change({ cfi: currentTarget.checked ? "1" : undefined }, "push")}
          />
          compatibility format passes
        </label>
      ) : null}
    </div>
  );
}

function Outcome({ result }: { readonly result: TrialResult }) {
  const { outcome, rule, decision } = result;
  return (
    <>
      <p class={`outcome ${outcome}`} role="status">
        <strong>
          {outcomeSign(outcome)} {outcome}
        </strong>{" "}
        {clauseOf(result)}
      </p>
      <RuleNote id={rule} />
      <ol class="decision">
        {decision.steps
          .filter(({ verdict }) => verdict !== "not reached")
          .map(({ step, title, verdict, detail, rule }) => (
            <li key={step} class={verdict.replace(" ", "-")} title={rule}>
              <span aria-hidden="true">{verdictSign(verdict)}</span> {title}: {detail}{" "}
              <small>{verdict}</small>
            </li>
          ))}
      </ol>
    </>
  );
}
