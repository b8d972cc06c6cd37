import { type Context, type TrialResult, hex } from "@intremap/core";
import { useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import { Notice } from "../../parts/notice.tsx";
import { RuleNote } from "../../parts/rule-note.tsx";
import { change, hrefOf, route } from "../../state/route.ts";
import type { Subject } from "./subject.ts";
import { type Prepared, type TrialChoice, canBeTried, pathQuery, prepare } from "./trial-of.ts";

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
          <button
            type="button"
            onClick={() => change({ msi: undefined, sid: undefined, entry: undefined }, "push")}
          >
            Start from a sound request
          </button>
        </Notice>
      ) : (
        <Form prepared={ready.prepared} kind={subject.kind} />
      )}
      {task.state === "failed" ? (
        <Notice kind="error" title="The unit was not brought up">
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

/** A text of the request: it counts when it is left, or with Enter. */
function Text({
  label,
  name,
  text,
}: {
  readonly label: string;
  readonly name: string;
  readonly text: string;
}) {
  return (
    <label>
      {label}
      <input
        class="mono"
        spellcheck={false}
        autocomplete="off"
        value={text}
        style={{ width: `${Math.min(text.length + 3, 40)}ch` }}
        onChange={({ currentTarget: { value } }) =>
          change({ [name]: value.trim() === "" ? undefined : value.trim() }, "push")
        }
      />
    </label>
  );
}

function Form({ prepared, kind }: { readonly prepared: Prepared; readonly kind: Subject["kind"] }) {
  const { message, entry, requester, profile, profiles } = prepared;
  const { query } = route.value;
  return (
    <div class="trial-form">
      {message === null ? null : <Text label="Message" name="msi" text={message} />}
      {entry === null ? null : <Text label="Entry" name="entry" text={entry} />}
      <Text label="From" name="sid" text={requester} />
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

/** What became of it, in one clause. */
function clauseOf({ outcome, fault, decision, posting }: TrialResult): string {
  if (outcome === "blocked") {
    const at = decision.steps.find(({ verdict }) => verdict === "blocked here");
    const where = at === undefined ? "" : ` at: ${at.title}`;
    return fault === null ? where : `${fault.name}${fault.recorded ? "" : ", not recorded"}${where}`;
  }
  if (posting !== null) {
    const after = posting.notified ? "a notification is sent" : "nobody is notified";
    return `vector ${hex(posting.vector)} at ${hex(posting.address)}; ${after}`;
  }
  const { delivery } = decision;
  if (delivery === null) return "";
  const how = delivery.logical ? "logical" : "physical";
  return `vector ${hex(delivery.vector)} to ${how} destination ${hex(delivery.destination)}`;
}

const marks: Readonly<Record<TrialResult["outcome"], string>> = {
  blocked: "✗",
  passed: "→",
  remapped: "✓",
  posted: "✓",
};

const stepMarks: Readonly<Record<string, string>> = {
  held: "✓",
  delivered: "✓",
  posted: "✓",
  "passed here": "→",
  "blocked here": "✗",
};

function Outcome({ result }: { readonly result: TrialResult }) {
  const { outcome, rule, decision } = result;
  return (
    <>
      <p class={`outcome ${outcome}`} role="status">
        <strong>
          {marks[outcome]} {outcome}
        </strong>{" "}
        {clauseOf(result)}
      </p>
      <RuleNote id={rule} />
      <ol class="decision">
        {decision.steps
          .filter(({ verdict }) => verdict !== "not reached")
          .map(({ step, title, verdict, detail, rule }) => (
            <li key={step} class={verdict.replace(" ", "-")} title={rule}>
              <span aria-hidden="true">{stepMarks[verdict] ?? "·"}</span> {title}: {detail}{" "}
              <small>{verdict}</small>
            </li>
          ))}
      </ol>
    </>
  );
}
