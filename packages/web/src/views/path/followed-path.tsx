import type { FollowedInterrupt } from "@intremap/core";
import { useMemo, useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import { Notice } from "../../parts/notice.tsx";
import { Waiting } from "../../parts/waiting.tsx";
import { backToMachine, whichOf } from "../../state/followed.ts";
import { closeHost, hostEngine, sourceIn } from "../../state/host.ts";
import { hrefOf, route } from "../../state/route.ts";
import { useHost } from "../../state/use-host.ts";
import { Refused } from "./refused.tsx";
import { Stepper } from "./stepper.tsx";
import { untimed } from "./telling.ts";

/** An interrupt of the host that the address names. */
export function FollowedPath({ subject }: { readonly subject: string }) {
  const host = useHost(sourceIn(route.value.query));
  const machine = hrefOf("machine", backToMachine(subject));
  if (host.state === "opening") {
    return <Waiting title={`Reading ${host.name}`} progress={host.progress} stop={closeHost} />;
  }
  if (host.state === "failed") {
    return (
      <Notice kind="error" title={`${host.name} cannot be read`}>
        {host.message}. <a href={machine}>Open it in Machine</a>
      </Notice>
    );
  }
  if (host.state === "none") {
    return (
      <Notice kind="empty" title={`${subject} of a host that is not open`}>
        A link cannot hold a host. <a href={machine}>Open it in Machine</a>, and step through {subject} from
        there.
      </Notice>
    );
  }
  return <OfHost subject={subject} source={host.name} reading={host.host.reading} machine={machine} />;
}

interface OfHostProps {
  readonly subject: string;
  readonly source: string;
  readonly reading: number;
  /** Where the view Machine shows it. */
  readonly machine: string;
}

function OfHost({ subject, source, reading, machine }: OfHostProps) {
  const task = useTask(hostEngine, "hostFollow", subject, `${reading} ${subject}`);
  if (task.state === "failed") {
    return (
      <Notice kind="error" title={`${subject} cannot be followed`}>
        {task.message}. <a href={machine}>Back to Machine</a>
      </Notice>
    );
  }
  if (task.state !== "done") return <p role="status">Following {subject}…</p>;
  const interrupts = task.result.kind === "vcpu" ? [] : task.result.interrupts;
  const which = whichOf(interrupts);
  const interrupt = interrupts[which - 1];
  if (interrupt === undefined) {
    return (
      <Notice kind="info" title={`${subject} is no interrupt`}>
        There is nothing to step through. <a href={machine}>Back to Machine</a>
      </Notice>
    );
  }
  return <Followed key={`${reading} ${which}`} {...{ subject, source, machine, interrupt }} />;
}

interface FollowedProps extends Omit<OfHostProps, "reading"> {
  readonly interrupt: FollowedInterrupt;
}

function Followed({ subject, source, machine, interrupt }: FollowedProps) {
  const engine = useEngine();
  const [attempt, setAttempt] = useState(0);
  const task = useTask(engine, "walkFollowed", interrupt, `${subject} ${attempt}`);
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
        <strong>{interrupt.outcome}</strong> {interrupt.why} <a href={machine}>Back to Machine</a>
      </p>
      <Stepper tellings={tellings} />
    </>
  );
}
