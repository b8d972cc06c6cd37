import type { Signal } from "@preact/signals";
import type { Ref } from "preact";
import { useState } from "preact/hooks";
import { offerFile } from "../../parts/save-file.tsx";
import { timelineEngine } from "../../state/timeline.ts";
import { type Axis, type Scale, type Window, whole, zoomed } from "./axis.ts";
import type { Hits } from "./use-painting.ts";
import { keyHelp } from "./keys.ts";
import { rankOf } from "./queries.ts";
import { countText, timeText } from "./time-text.ts";

interface ToolsProps {
  readonly axis: Axis;
  readonly window: Signal<Window>;
  readonly hits: Hits | null;
  readonly selected: number;
  readonly find: string;
  readonly lines: boolean;
  readonly fileName: string;
  /** What is said of a file that is not all there is. */
  readonly partly: string;
  readonly search: Ref<HTMLInputElement>;
  readonly onFind: (text: string) => void;
  /** To the hit before or behind what is selected. */
  readonly onHit: (by: 1 | -1) => void;
  /** From the search to the tracks. */
  readonly onLeave: () => void;
  readonly onScale: (scale: Scale) => void;
}

/** Search, scale, zoom and export. */
export function Tools(props: ToolsProps) {
  const { axis, window, hits, selected, find, lines, search, onHit } = props;
  const { scale } = axis;
  return (
    <div class="timeline-tools">
      <span class="search">
        <input
          ref={search}
          type="search"
          aria-label="Search names of events and tracks"
          placeholder="search events"
          value={find}
          onInput={({ currentTarget: { value } }) => props.onFind(value)}
          onKeyDown={(event) => {
            const { key, shiftKey } = event;
            const leaves = key === "ArrowDown" || (key === "Escape" && find === "");
            if (key !== "Enter" && !leaves) return;
            event.preventDefault();
            if (leaves) props.onLeave();
            else onHit(shiftKey ? -1 : 1);
          }}
        />
        <button
          type="button"
          aria-label="Previous hit"
          disabled={!hits?.rows.length}
          onClick={() => onHit(-1)}
        >
          ‹
        </button>
        <button type="button" aria-label="Next hit" disabled={!hits?.rows.length} onClick={() => onHit(1)}>
          ›
        </button>
        <output class="hits">{hits === null ? "" : hitText(hits.rows, selected)}</output>
      </span>
      <fieldset class="scale">
        <legend class="visually-hidden">Scale</legend>
        {(["time", "order"] as const).map((one) => (
          <label key={one}>
            <input type="radio" name="scale" checked={scale === one} onChange={() => props.onScale(one)} />{" "}
            {one === "time" && lines ? "lines" : one}
          </label>
        ))}
        <span class="faint">{scale === "time" && lines ? "" : scaleHints[scale]}</span>
      </fieldset>
      <span class="zoom">
        <button
          type="button"
          aria-label="Zoom in"
          onClick={() => (window.value = zoomed(window.value, 0.5, 0.5, axis))}
        >
          +
        </button>
        <button
          type="button"
          aria-label="Zoom out"
          onClick={() => (window.value = zoomed(window.value, 2, 0.5, axis))}
        >
          −
        </button>
        <button type="button" onClick={() => (window.value = whole(axis))}>
          All
        </button>
        <Shown window={window} axis={axis} />
      </span>
      <Export fileName={props.fileName} partly={props.partly} />
      <details class="keys">
        <summary>Keys</summary>
        <dl id="chart-keys">
          {keyHelp.map(([keys, what]) => (
            <div key={keys}>
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
          <div>
            <dt>mouse</dt>
            <dd>drag pans, Ctrl+wheel zooms, Shift+wheel pans, a double click zooms to a slice</dd>
          </div>
        </dl>
      </details>
    </div>
  );
}

const scaleHints: Readonly<Record<Scale, string>> = {
  time: "what takes no modelled time has no width",
  order: "begins and ends one after the other: what takes no time has a width too",
};

function hitText(rows: Int32Array, selected: number): string {
  if (rows.length === 0) return "nothing found";
  const rank = rankOf(rows, selected);
  const on = selected >= 0 && rows[rank] === selected;
  return on ? `${countText(rank + 1)} of ${countText(rows.length)}` : `${countText(rows.length)} found`;
}

function Shown({ window, axis }: Pick<ToolsProps, "window" | "axis">) {
  const { from, to } = window.value;
  const span = to - from;
  const text =
    axis.unit === "time" ? timeText(span, span / 1000) : `${countText(Math.round(span))} ${axis.unit}`;
  return <span class="faint shown">{text} across</span>;
}

/** Saves the timeline as a Perfetto trace, which the engine writes. */
function Export({ fileName, partly }: Pick<ToolsProps, "fileName" | "partly">) {
  const [said, setSaid] = useState("");
  const save = async (): Promise<void> => {
    setSaid("writing…");
    try {
      const bytes = await timelineEngine.ask("exportTimeline", null);
      offerFile(fileName, "application/octet-stream", bytes);
      setSaid(partly);
    } catch (error) {
      setSaid(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <span>
      <button type="button" onClick={() => void save()} title="For ui.perfetto.dev and trace_processor">
        Save for Perfetto
      </button>
      <span role="status" class="faint">
        {said === "" ? "" : ` ${said}`}
      </span>
    </span>
  );
}
