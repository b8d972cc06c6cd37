import type { FollowedInterrupt } from "@intremap/core";
import { useMemo, useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import { Notice } from "../../parts/notice.tsx";
import { Waiting } from "../../parts/waiting.tsx";
import { handed } from "../../state/handed.ts";
import { hrefOf } from "../../state/route.ts";
import { Refused } from "./refused.tsx";
import { Stepper } from "./stepper.tsx";
import { untimed } from "./telling.ts";

/** An interrupt of a host, as the view Machine followed it. */
export function FollowedPath({ subject }: { readonly subject: string }) {
  const given = handed.value;
  if (given?.subject !== subject) {
    return (
      <Notice kind="empty" title={`${subject} of a host that is not open`}>
        A link cannot hold a host. Open it in <a href={hrefOf("machine")}>Machine</a>, and follow {subject}{" "}
        there.
      </Notice>
    );
  }
  return <Followed subject={subject} source={given.source} interrupt={given.interrupt} />;
}

interface FollowedProps {
  readonly subject: string;
  readonly source: string;
  readonly interrupt: FollowedInterrupt;
}

function Followed({ subject, source, interrupt }: FollowedProps) {
  const engine = useEngine();
  const [attempt, setAttempt] = useState(0);
  const task = useTask(
    engine,
    "walkFollowed",
    interrupt,
    `${source} ${subject} ${interrupt.title} ${attempt}`,
  );
  const result = task.state === "done" ? task.result : null;
  const tellings = useMemo(() => (result === null ? [] : [untimed(interrupt.title, result)]), [result]);
  if (task.state === "failed") {
    return <Refused what="This interrupt" message={task.message} again={() => setAttempt(attempt + 1)} />;
  }
  if (result === null)
    return <Waiting title={`Following ${subject}`} progress="" stop={() => engine.stop()} />;
  return (
    <>
      <p class="scenario-title">
        {interrupt.title}
        <span class="aside">{source}</span>
      </p>
      <p class={`request-outcome ${interrupt.outcome}`}>
        <strong>{interrupt.outcome}</strong> {interrupt.why} <a href={hrefOf("machine")}>Back to Machine</a>
      </p>
      <Stepper tellings={tellings} />
    </>
  );
}
