import { useMemo, useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import { MemoryTexts, RequestText } from "../../parts/request-text.tsx";
import { samples } from "../../parts/samples.ts";
import { contextIn, readSubject } from "../../parts/subject.ts";
import {
  type Prepared,
  type RequestKind,
  clauseOf,
  profilesFor,
  readRequest,
  requestKinds,
  withoutMistakes,
} from "../../parts/trial-of.ts";
import { Waiting } from "../../parts/waiting.tsx";
import { change, hrefOf, route } from "../../state/route.ts";
import { Refused } from "./refused.tsx";
import { Stepper } from "./stepper.tsx";
import { untimed } from "./telling.ts";
import { withoutPlace } from "./row-choice.ts";

type Query = Readonly<Record<string, string>>;

/** What a request in the address is made of; undefined where there is none. */
export function requestIn(query: Query): RequestKind | undefined {
  return requestKinds.find((kind) => query[kind] !== undefined);
}

type Ready = { readonly prepared: Prepared } | { readonly wrong: string };

function tried(query: Query, kind: RequestKind): Ready {
  try {
    return { prepared: readRequest(kind, query) };
  } catch (error) {
    return { wrong: (error as Error).message };
  }
}

/** The value if it can be read; a message stands beside its entry, and is the mistake itself. */
function soundValue(query: Query, kind: RequestKind): string {
  if (kind === "msi") return samples.msi;
  try {
    return readSubject({ kind, value: query[kind] }, contextIn(query)).text;
  } catch {
    return samples[kind];
  }
}

/** One request to one entry: what the unit makes of it, step by step. */
export function RequestPath({ kind }: { readonly kind: RequestKind }) {
  const { query } = route.value;
  const key = JSON.stringify(withoutPlace(query));
  const ready = useMemo(() => tried(query, kind), [key]);
  const prepared = "prepared" in ready ? ready.prepared : null;
  const engine = useEngine();
  const [attempt, setAttempt] = useState(0);
  const task = useTask(engine, "tryRequest", prepared?.trial ?? null, `${key}${attempt}`);
  const result = task.state === "done" ? task.result : null;
  const tellings = useMemo(() => (result === null ? [] : [untimed("", result.steps)]), [result]);
  const wrong = "wrong" in ready ? ready.wrong : task.state === "failed" ? task.message : null;
  return (
    <>
      <RequestForm kind={kind} query={query} prepared={prepared} />
      {wrong !== null ? (
        <Refused what="This request" message={wrong} again={() => setAttempt(attempt + 1)}>
          <button
            type="button"
            onClick={() => change({ ...withoutMistakes, [kind]: soundValue(query, kind) }, "push")}
          >
            Start from a sound request
          </button>
        </Refused>
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

interface RequestFormProps {
  readonly kind: RequestKind;
  readonly query: Query;
  /** Null where something in the address cannot be sent: then what it says stands there. */
  readonly prepared: Prepared | null;
}

/** What is sent to what: every part of it can be typed over. */
function RequestForm({ kind, query, prepared }: RequestFormProps) {
  const { msi, entry, sid, pid, dte, profile } = query;
  const { descriptor = pid ?? null, deviceEntry = dte ?? null } = prepared ?? {};
  return (
    <form class="scenario-form" onSubmit={(event) => event.preventDefault()}>
      {kind === "msi" ? (
        <RequestText label="Entry" name="entry" text={prepared?.entry ?? entry ?? ""} onText={choose} />
      ) : (
        <RequestText label="Entry" name={kind} text={query[kind]!} onText={choose} />
      )}
      <RequestText label="Message" name="msi" text={prepared?.message ?? msi ?? ""} onText={choose} />
      <RequestText label="Requester" name="sid" text={prepared?.requester ?? sid ?? ""} onText={choose} />
      <MemoryTexts descriptor={descriptor} deviceEntry={deviceEntry} onText={choose} />
      <label>
        Hardware
        <select
          value={prepared?.profile ?? profile ?? ""}
          onChange={({ currentTarget }) => choose({ profile: currentTarget.value })}
        >
          {prepared === null ? <option>{profile ?? ""}</option> : null}
          {profilesFor(kind).map((name) => (
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
function choose(values: Readonly<Record<string, string | undefined>>): void {
  change({ ...values, step: undefined }, "push");
}
