import { useEffect, useRef } from "preact/hooks";
import { readCount } from "../../engine/races/count.ts";
import { askedIn } from "../../engine/races/question.ts";
import { type Task, useEngine, useTask } from "../../engine/use-task.ts";
import type { RaceVerdict } from "../../engine/tasks/verify-races.ts";
import { Notice } from "../../parts/notice.tsx";
import { Stopped } from "../../parts/stopped.tsx";
import { route } from "../../state/route.ts";
import { askForChoices, choices } from "./choices.ts";
import { RaceForm, exploreAgain } from "./race-form.tsx";
import { LiveCount } from "./live-count.tsx";
import { RaceOutcome } from "./race-outcome.tsx";

export function RacesView() {
  const { query } = route.value;
  const engine = useEngine();
  const asked = askedIn(query);
  const { run } = query;
  const key = run === undefined ? "" : `${run} ${new URLSearchParams(asked).toString()}`;
  const task = useTask(engine, "verifyRaces", key === "" ? null : asked, key, "ends");
  useEffect(askForChoices, []);
  return (
    <div class="races">
      <h1>Races</h1>
      <p class="lead">
        Posting between devices, the IOMMU, CPUs, vCPUs and the scheduler, in every order that they allow.
        Switch a step of the protocol off and see what it is for.
      </p>
      <Choices />
      <section class="race-result" aria-label="Result" key={key}>
        <Result task={task} />
      </section>
    </div>
  );
}

function Choices() {
  const known = choices.value;
  if (known === null) return <p role="status">…</p>;
  if ("message" in known)
    return (
      <Notice kind="error" title="The engine does not answer">
        {known.message}
      </Notice>
    );
  return <RaceForm choices={known} />;
}

function Result({ task }: { readonly task: Task<RaceVerdict> }) {
  const last = useRef("");
  if (task.state === "running") {
    last.current = task.progress === "" ? last.current : task.progress;
    return <LiveCount count={readCount(task.progress)} stop={task.stop} />;
  }
  if (task.state === "failed" && task.message === "stopped") {
    const count = readCount(last.current);
    return (
      <Stopped>
        {count === null
          ? "Nothing was explored."
          : `${count.states.toLocaleString("en")} states of ${count.play} were seen: that says nothing of the rest.`}{" "}
        <button type="button" onClick={exploreAgain}>
          Explore it again
        </button>
      </Stopped>
    );
  }
  if (task.state === "failed") {
    return (
      <Notice kind="error" title="This cannot be explored">
        {task.message}
      </Notice>
    );
  }
  if (task.state === "done") return <RaceOutcome verdict={task.result} />;
  return (
    <Notice kind="empty" title="Nothing explored yet">
      Choose a step to do without, or explore the protocol as it is.
    </Notice>
  );
}
