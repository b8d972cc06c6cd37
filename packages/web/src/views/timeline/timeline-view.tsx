import { useEffect } from "preact/hooks";
import { Notice } from "../../parts/notice.tsx";
import { Stopped } from "../../parts/stopped.tsx";
import { Waiting } from "../../parts/waiting.tsx";
import { hrefOf, route } from "../../state/route.ts";
import { scenarioTitles } from "../../state/scenario-titles.ts";
import {
  type TimelineSource,
  keyOf,
  openTrace,
  record,
  sourceOf,
  stopTimeline,
  timelineReading,
} from "../../state/timeline.ts";
import { SourceBar, TraceChooser } from "./source-bar.tsx";
import { Workspace } from "./workspace.tsx";

/** Scenarios whose timelines show much at once. */
const worthwhile = new Set(["passthrough-posted", "vcpu-halts-and-wakes", "hostile-device"]);

function onDrop(event: DragEvent): void {
  const file = event.dataTransfer?.files[0];
  if (file === undefined) return;
  event.preventDefault();
  openTrace(file.name, file);
}

export function TimelineView() {
  const source = sourceOf(route.value.query);
  const key = source === null ? "" : keyOf(source);
  const reading = timelineReading.value;
  useEffect(() => {
    if (source?.kind === "scenario") record(source);
  }, [key]);
  return (
    <div class="timeline" onDragOver={(event) => event.preventDefault()} onDrop={onDrop}>
      <header class="timeline-head">
        <h1>
          {titleOf(source, reading.state === "open" && reading.key === key ? reading.recorded.title : null)}
        </h1>
        <SourceBar source={source} />
      </header>
      <Content source={source} sourceKey={key} />
    </div>
  );
}

function titleOf(source: TimelineSource | null, title: string | null): string {
  if (title !== null) return title;
  return source === null ? "Timeline" : source.kind === "scenario" ? source.scenario : source.name;
}

function Content({ source, sourceKey }: { source: TimelineSource | null; sourceKey: string }) {
  const { value } = timelineReading;
  if (source === null) {
    return (
      <Notice kind="empty" title="Nothing is recorded yet">
        Choose a scenario, for example{" "}
        {scenarioTitles
          .filter(({ name }) => worthwhile.has(name))
          .map(({ name, title }, i) => (
            <>
              {i === 0 ? "" : ", "}
              <a key={name} href={hrefOf("timeline", { scenario: name })} title={title}>
                {name}
              </a>
            </>
          ))}
        ; or open the log of QEMU's trace events (<code>-trace 'vtd_*' -D log</code>, also as .gz or .xz), or
        drop it here.
      </Notice>
    );
  }
  const reading = value.state === "none" || value.key !== sourceKey ? null : value;
  if (reading === null) {
    // What the address names is recorded as soon as it is seen.
    if (source.kind === "scenario") return null;
    return (
      <Notice kind="empty" title={`This link shows ${source.name}`}>
        A file does not travel in a link: choose the one of {source.size.toLocaleString("en")} bytes.{" "}
        <TraceChooser label="Choose it…" />
      </Notice>
    );
  }
  if (reading.state === "stopped") {
    return (
      <Stopped>
        Nothing is kept of it.{" "}
        {source.kind === "scenario" ? (
          <button type="button" onClick={() => record(source)}>
            Record it
          </button>
        ) : (
          <TraceChooser label="Choose it…" />
        )}
      </Stopped>
    );
  }
  if (reading.state === "recording") {
    const title = source.kind === "scenario" ? "Running the scenario" : `Reading ${source.name}`;
    return <Waiting title={title} progress={reading.progress} stop={stopTimeline} />;
  }
  if (reading.state === "failed") {
    return (
      <Notice kind="error" title="There is no timeline of this">
        {reading.message}
      </Notice>
    );
  }
  if (reading.recorded.data.start.length === 0) {
    return (
      <Notice kind="empty" title="Nothing happened">
        The run reported no event.
      </Notice>
    );
  }
  return <Workspace key={sourceKey} recorded={reading.recorded} source={source} />;
}
