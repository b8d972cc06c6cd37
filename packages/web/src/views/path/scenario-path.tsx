import { InputError, type Parameter, documentText } from "@intremap/core";
import { useMemo, useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import type { WalkQuestion } from "../../engine/walk-runs.ts";
import type { ListedScenario } from "../../engine/tasks/list-scenario.ts";
import { SaveFile } from "../../parts/save-file.tsx";
import { Waiting } from "../../parts/waiting.tsx";
import { hrefOf, route } from "../../state/route.ts";
import { queryOfRun } from "../../state/run-query.ts";
import { scenarioTitles } from "../../state/scenario-titles.ts";
import { Leftovers, Outcomes } from "./outcomes.tsx";
import { Refused } from "./refused.tsx";
import { ScenarioForm, besidePrefix } from "./scenario-form.tsx";
import { Stepper } from "./stepper.tsx";
import type { Telling } from "./telling.ts";
import { withoutPlace } from "./row-choice.ts";
import { type Walked, type WalkedRun, useWalk } from "./use-walk.ts";

type Query = Readonly<Record<string, string>>;

/** The parameters that the address gives, by the names that it has for them. @throws InputError for one that is no number. */
function valuesIn(
  query: Query,
  parameters: readonly Parameter[],
  prefixes: readonly string[],
): Record<string, number> {
  const values: Record<string, number> = {};
  for (const { name, from, to } of parameters) {
    for (const prefix of prefixes) {
      const text = query[`${prefix}${name}`];
      if (text === undefined) continue;
      if (!/^\d{1,15}$/.test(text)) {
        const given = JSON.stringify(text.slice(0, 40));
        throw new InputError(`parameters.${name}: ${given}, expected a whole number from ${from} to ${to}`);
      }
      values[name] = Number(text);
    }
  }
  return values;
}

/** What runs, and what runs beside it, as the address says. */
function choicesOf(query: Query, name: string, listed: ListedScenario, beside: Beside): WalkQuestion {
  const { variant } = query;
  const left = {
    scenario: name,
    ...(variant !== undefined && { variant }),
    values: valuesIn(query, listed.parameters, [""]),
  };
  if (beside === null) return { left, right: null };
  const right = {
    scenario: beside.scenario,
    ...(beside.variant !== undefined && { variant: beside.variant }),
    values: valuesIn(query, beside.parameters, ["", besidePrefix]),
  };
  return { left, right };
}

type Beside = {
  readonly scenario: string;
  readonly variant?: string;
  readonly parameters: readonly Parameter[];
} | null;

/** A scenario's run, and perhaps another beside it. */
export function ScenarioPath({ name }: { readonly name: string }) {
  const { query } = route.value;
  const { compare } = query;
  const lister = useEngine();
  const engine = useEngine();
  const [attempt, setAttempt] = useState(0);
  const question = JSON.stringify(withoutPlace(query));
  /** The question that the reader had enough of. */
  const [stopped, setStopped] = useState("");
  const asked = useTask(lister, "listScenario", name, `${name} ${attempt}`);
  const listed = asked.state === "done" ? asked.result : undefined;
  const isVariant = listed?.variants.some((one) => one.name === compare) === true;
  const otherName = listed === undefined || compare === undefined || isVariant ? null : compare;
  const other = useTask(lister, "listScenario", otherName, `${otherName ?? ""} ${attempt}`);

  let beside: Beside | undefined = null;
  if (compare !== undefined && listed !== undefined) {
    if (isVariant) beside = { scenario: name, variant: compare, parameters: listed.parameters };
    else if (other.state === "done") beside = { scenario: compare, parameters: other.result.parameters };
    else beside = undefined;
  }
  let input: WalkQuestion | null = null;
  let wrong: string | null = null;
  try {
    if (listed !== undefined && beside !== undefined && stopped !== question) {
      input = choicesOf(query, name, listed, beside);
    }
  } catch (error) {
    wrong = (error as Error).message;
  }
  const key = `${JSON.stringify(input)}${attempt}`;
  const walked = useWalk(engine, input, key);
  const failed = [asked, other, walked].find((one) => one.state === "failed");
  const refusal = wrong ?? (failed?.state === "failed" ? failed.message : null);
  const stop = (): void => {
    engine.stop();
    setStopped(question);
  };
  const again = (): void => {
    setStopped("");
    setAttempt(attempt + 1);
  };
  return (
    <>
      <ScenarioForm query={query} name={name} listed={listed} besideParameters={beside?.parameters ?? []} />
      {stopped === question ? (
        <Refused what="This run" message="stopped" again={again} />
      ) : refusal !== null ? (
        <Refused what="This run" message={refusal} again={again} />
      ) : walked.state === "done" && listed !== undefined ? (
        <Runs name={name} walked={walked.result} listed={listed} />
      ) : (
        <Waiting
          title={`Running ${name}`}
          progress={walked.state === "running" ? walked.progress : ""}
          stop={stop}
        />
      )}
    </>
  );
}

/** Figures that say something where they are 0, too. */
const always = ["raised", "delivered", "lost", "blocked"] as const;

interface RunsProps {
  readonly name: string;
  readonly walked: Walked;
  readonly listed: ListedScenario;
}

/** What came of the runs, and their steps. */
function Runs({ name, walked, listed: { about, text } }: RunsProps) {
  const { runs, input, pairs } = walked;
  const tellings = useMemo(() => tellingsOf(runs, input), [walked]);
  const [outcomes, leftovers] = useMemo(() => {
    const results = runs.map(({ result }, side) => ({ name: tellings[side]!.name, result }));
    return [<Outcomes results={results} always={always} />, <Leftovers results={results} />];
  }, [tellings]);
  return (
    <>
      <p class="scenario-title">
        {runs[0]!.result.title}
        {about === "" || input.left.variant !== undefined ? null : <span class="aside">{about}</span>}
      </p>
      {outcomes}
      <Stepper tellings={tellings} pairs={pairs} arrival={route.value.query} />
      {leftovers}
      <details class="run-more">
        <summary>The scenario</summary>
        <pre class="kernel-log" tabIndex={0} aria-label="The scenario's file">
          {text}
        </pre>
      </details>
      <p class="run-links">
        <a href={hrefOf("timeline", queryOfRun(input.left))}>On the timeline</a>
        <SaveFile
          label="Run as JSON"
          name={`${name}.json`}
          type="application/json"
          content={() => documentText("run", { ...runs[0]!.result, compared: runs[1]?.result ?? null })}
        />
      </p>
    </>
  );
}

/** Two runs of one scenario are told apart by how they are set. */
function tellingsOf(runs: readonly WalkedRun[], input: WalkQuestion): Telling[] {
  const two = runs.length > 1;
  const same = two && runs[0]!.result.scenario === runs[1]!.result.scenario;
  return runs.map(({ result: { scenario, settings, title, episodes }, steps, leftOut }, side) => {
    const short = scenario.startsWith(`${input.left.scenario}: `) ? scenario.split(": ")[1]! : scenario;
    const told = same ? `${side === 0 ? "" : "beside: "}${settings}` : short;
    const choice = side === 0 ? input.left : input.right;
    const timeline = choice === null ? null : queryOfRun(choice);
    return { name: two ? told : "", title, steps, episodes, leftOut, timed: true, timeline };
  });
}

const beginnings = {
  posted: hrefOf("path", {
    scenario: "passthrough-posted",
    compare: "passthrough-remapped",
    vectors: "1",
    interrupts: "3",
    request: "1",
  }),
  nosid: hrefOf("path", { scenario: "nosid-spoof", compare: "with-verification", request: "1" }),
  unremapped: hrefOf("path", { scenario: "hostile-device", compare: "without-remapping", request: "1" }),
} as const;

/** Where nothing is chosen yet. */
export function ChooseScenario() {
  return (
    <>
      <p>
        A machine, what is plugged into it, and what happens on it: follow an interrupt from the device that
        writes it to the CPU or vCPU that takes it. Two beside each other, to begin with:{" "}
        <a href={beginnings.posted}>posted and remapped</a>,{" "}
        <a href={beginnings.nosid}>source ids verified and not</a>,{" "}
        <a href={beginnings.unremapped}>a hostile device with and without remapping</a>. An entry and a
        message of your own go into <a href={hrefOf("paste")}>Paste</a>.
      </p>
      <ul class="scenario-cards">
        {scenarioTitles.map(({ name, title, about }) => (
          <li key={name}>
            <a href={hrefOf("path", { scenario: name })}>{title}</a>
            <code>{name}</code>
            {about === "" ? null : <p>{about}</p>}
          </li>
        ))}
      </ul>
    </>
  );
}
