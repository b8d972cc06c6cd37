import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Notice } from "../../parts/notice.tsx";
import { useTask } from "../../engine/use-task.ts";
import { hostEngine } from "../../state/host.ts";
import { change, route } from "../../state/route.ts";
import { TopologyGraph } from "./topology-graph.tsx";

interface TopologyViewProps {
  readonly reading: number;
  readonly selected: string | undefined;
}

const zooms = [0.25, 0.35, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2] as const;

/** Between ids of nodes in the address. */
const between = "|";

/** Devices, IOMMUs, entries, processors: what goes through what. */
export function TopologyView({ reading, selected }: TopologyViewProps) {
  const { query } = route.value;
  const opened = (query["open"] ?? "").split(between).filter((id) => id !== "");
  const task = useTask(hostEngine, "hostGraph", opened, query["open"] ?? "", "finishes", reading);
  const frame = useRef<HTMLDivElement>(null);
  const focus = useRef(false);
  const [width, setWidth] = useState(860);
  useLayoutEffect(() => {
    const measure = (): void => setWidth(frame.current?.clientWidth ?? 860);
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, [task.state]);
  if (task.state === "failed") {
    return (
      <Notice kind="error" title="The topology cannot be drawn">
        {task.message}
      </Notice>
    );
  }
  if (task.state !== "done") return <p role="status">Drawing…</p>;
  const graph = task.result;
  if (graph.nodes.length === 0)
    return <p class="nothing">No interrupt is known: there is nothing to draw.</p>;
  const fit = Math.min(1, Math.max(0.5, width / graph.width));
  const asked = Number(query["zoom"] ?? Number.NaN);
  const zoom = Number.isFinite(asked) ? Math.min(2, Math.max(0.25, asked)) : fit;
  const zoomBy = (by: 1 | -1): void => {
    const next =
      by === 1 ? zooms.find((one) => one > zoom + 0.01) : zooms.findLast((one) => one < zoom - 0.01);
    if (next !== undefined) change({ zoom: String(next) }, "replace");
  };
  return (
    <section class="topology" aria-label="Topology">
      <div class="tools">
        <button type="button" aria-label="Larger" onClick={() => zoomBy(1)}>
          +
        </button>
        <button type="button" aria-label="Smaller" onClick={() => zoomBy(-1)}>
          −
        </button>
        <button type="button" onClick={() => change({ zoom: undefined }, "replace")}>
          Fit
        </button>
        {opened.length === 0 ? null : (
          <button type="button" onClick={() => change({ open: undefined, node: undefined }, "push")}>
            Draw together again
          </button>
        )}
        <Legend />
      </div>
      <div
        class="frame"
        ref={frame}
        onWheel={(event) => {
          if (!event.ctrlKey) return;
          event.preventDefault();
          zoomBy(event.deltaY < 0 ? 1 : -1);
        }}
      >
        <TopologyGraph
          graph={graph}
          zoom={zoom}
          zoomBy={zoomBy}
          frame={frame}
          focus={focus}
          selected={selected}
          open={(id) => change({ open: [...opened, id].join(between), node: undefined }, "push")}
        />
      </div>
    </section>
  );
}

const legend = [
  ["remapped", "remapped"],
  ["posted", "posted"],
  ["unremapped", "unremapped"],
  ["mixed", "mixed, or not known"],
] as const;

function Legend() {
  return (
    <span class="legend faint">
      {legend.map(([mode, what]) => (
        <span key={mode}>
          <span class={`swatch ${mode}`} aria-hidden="true" /> {what}
        </span>
      ))}
    </span>
  );
}
