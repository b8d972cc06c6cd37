import { useMemo, useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import { Waiting } from "../../parts/waiting.tsx";
import { hrefOf, route } from "../../state/route.ts";
import { Refused } from "./refused.tsx";
import { Stepper } from "./stepper.tsx";
import { untimed } from "./telling.ts";
import { withoutPlace } from "./row-choice.ts";

/** A counterexample of Races, step by step. */
export function RacePath() {
  const engine = useEngine();
  const question = withoutPlace(route.value.query);
  const [attempt, setAttempt] = useState(0);
  const walked = useTask(engine, "walkRace", question, `${JSON.stringify(question)}${attempt}`);
  const result = walked.state === "done" ? walked.result : null;
  const tellings = useMemo(() => (result === null ? [] : [untimed(result.title, result.steps)]), [result]);
  if (walked.state === "failed") {
    return (
      <Refused what="This counterexample" message={walked.message} again={() => setAttempt(attempt + 1)} />
    );
  }
  if (result === null) {
    return (
      <Waiting
        title="Looking for the shortest way there"
        progress={walked.state === "running" ? walked.progress : ""}
        stop={() => engine.stop()}
      />
    );
  }
  const { race, ...rest } = question;
  return (
    <>
      <p class="scenario-title">{result.title}</p>
      <p>
        {result.roundFrom === null
          ? `After ${result.steps.length} steps it is so. `
          : `From step ${result.roundFrom + 1} on it goes round, for ever. `}
        <a href={hrefOf("races", { ...rest, vendor: race ?? "intel", run: "1" })}>Look at it in Races</a>
      </p>
      <Stepper tellings={tellings} />
    </>
  );
}
