import type { Context, Trial, TrialResult } from "@intremap/core";
import { useMemo, useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import { Waiting } from "../../parts/waiting.tsx";
import { change, hrefOf, route } from "../../state/route.ts";
import { readWide } from "../bits/hex-text.ts";
import { readSubject } from "../bits/subject.ts";
import { type Prepared, prepare } from "../bits/trial-of.ts";
import { Refused } from "./refused.tsx";
import { Stepper } from "./stepper.tsx";
import { untimed } from "./telling.ts";
import { withoutPlace } from "./row-choice.ts";

type Query = Readonly<Record<string, string>>;

const kinds = ["irte", "amd-irte", "msi"] as const;

/** What a request in the address is made of; undefined where there is none. */
export function requestIn(query: Query): (typeof kinds)[number] | undefined {
  return kinds.find((kind) => query[kind] !== undefined);
}

interface Ready {
  readonly prepared: Prepared;
  readonly trial: Trial;
}

/** @throws InputError when something in the address cannot be sent. */
function read(query: Query, kind: (typeof kinds)[number]): Ready {
  const context: Context = {
    ...settingIn(query, "eime"),
    ...settingIn(query, "xten"),
  };
  const subject = readSubject({ kind, value: query[kind] }, context);
  const { msi, sid, entry, profile, cfi } = query;
  const prepared = prepare(subject, { msi, sid, entry, profile, cfi }, context);
  const { pid, dte } = query;
  const trial: Trial = {
    ...prepared.trial,
    ...(pid !== undefined && { descriptor: readSubject({ kind: "pid", value: pid }, {}).words[0]! }),
    ...(dte !== undefined && { deviceEntry: readWide(dte, 256) }),
  };
  return { prepared, trial };
}

function settingIn(query: Query, name: "eime" | "xten"): Context {
  const text = query[name];
  return text === "0" || text === "1" ? { [name]: text === "1" ? 1 : 0 } : {};
}

function tried(query: Query, kind: (typeof kinds)[number]): Ready | { readonly wrong: string } {
  try {
    return read(query, kind);
  } catch (error) {
    return { wrong: (error as Error).message };
  }
}

/** One request to one entry: what the unit makes of it, step by step. */
export function RequestPath({ kind }: { readonly kind: (typeof kinds)[number] }) {
  const { query } = route.value;
  const key = JSON.stringify(withoutPlace(query));
  const ready = useMemo(() => tried(query, kind), [key]);
  const engine = useEngine();
  const [attempt, setAttempt] = useState(0);
  const task = useTask(engine, "tryRequest", "trial" in ready ? ready.trial : null, `${key}${attempt}`);
  const result = task.state === "done" ? task.result : null;
  const tellings = useMemo(() => (result === null ? [] : [untimed("", result.steps)]), [result]);
  if ("wrong" in ready) {
    return (
      <Refused
        what="This request"
        message={ready.wrong}
        again={() => change({ msi: undefined, sid: undefined }, "push")}
      />
    );
  }
  return (
    <>
      <RequestForm kind={kind} query={query} prepared={ready.prepared} />
      {task.state === "failed" ? (
        <Refused what="This request" message={task.message} again={() => setAttempt(attempt + 1)} />
      ) : result === null ? (
        <Waiting title="Sending the request" progress="" stop={() => engine.stop()} />
      ) : (
        <>
          <p class={`request-outcome ${result.outcome}`}>
            <strong>{result.outcome}</strong> {clauseOf(result)} <code>{result.rule}</code>{" "}
            <span class="aside">{result.section}</span>
          </p>
          <Stepper tellings={tellings} />
        </>
      )}
    </>
  );
}

/** What became of it, in one clause. */
function clauseOf({ outcome, fault, decision: { message } }: TrialResult): string {
  if (outcome === "blocked")
    return fault === null ? "" : `${fault.name}${fault.recorded ? "" : ", not recorded"}`;
  if (message === null) return "";
  return `0x${message.address.toString(16)} ← 0x${message.data.toString(16)}`;
}

interface RequestFormProps {
  readonly kind: (typeof kinds)[number];
  readonly query: Query;
  readonly prepared: Prepared;
}

/** What is sent to what: every part of it can be typed over. */
function RequestForm({
  kind,
  query,
  prepared: { message, entry, requester, profile, profiles },
}: RequestFormProps) {
  return (
    <form class="scenario-form" onSubmit={(event) => event.preventDefault()}>
      {kind === "msi" ? (
        <Typed label="Entry" name="entry" text={entry ?? ""} />
      ) : (
        <Typed label="Entry" name={kind} text={query[kind]!} />
      )}
      <Typed label="Message" name="msi" text={kind === "msi" ? query["msi"]! : (message ?? "")} />
      <Typed label="Requester" name="sid" text={requester} />
      <label>
        Hardware
        <select value={profile} onChange={({ currentTarget }) => choose({ profile: currentTarget.value })}>
          {profiles.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      {kind === "msi" ? null : (
        <a class="beside-form" href={hrefOf("bits", bitsQuery(kind, query))}>
          Change its bits in Bits
        </a>
      )}
    </form>
  );
}

function bitsQuery(kind: "irte" | "amd-irte", query: Query): Record<string, string> {
  const { [kind]: value = "", ...rest } = withoutPlace(query);
  return { ...rest, kind, value };
}

/** A change after which one begins at the first step. */
function choose(values: Readonly<Record<string, string>>): void {
  change({ ...values, step: undefined }, "push");
}

function Typed({
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
        style={{ width: `${Math.min(Math.max(text.length, 6) + 3, 44)}ch` }}
        onChange={({ currentTarget: { value } }) => value.trim() !== "" && choose({ [name]: value.trim() })}
      />
    </label>
  );
}
