import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { Recorded } from "../../engine/kept-timeline.ts";
import { change, route } from "../../state/route.ts";
import type { TimelineSource } from "../../state/timeline.ts";
import {
  type Axis,
  type Scale,
  type Window,
  around,
  axisOf,
  fitted,
  showing,
  usualScale,
  whole,
  windowQuery,
} from "./axis.ts";
import { Chart } from "./chart.tsx";
import type { Hits } from "./use-painting.ts";
import { Details } from "./details.tsx";
import type { Command } from "./keys.ts";
import { type Layout, laneTop, layoutOf } from "./layout.ts";
import { pathOf } from "./path-link.ts";
import {
  enclosing,
  flowRows,
  flowsOf,
  found,
  foundBefore,
  laneOf,
  nameOf,
  placeOf,
  rankOf,
} from "./queries.ts";
import { savedName, savedPart } from "./saved-file.ts";
import { Tools } from "./tools.tsx";
import { countText } from "./time-text.ts";

/** The window's change is put into the address when it has rested for so many milliseconds. */
const rest = 250;

interface WorkspaceProps {
  readonly recorded: Recorded;
  readonly source: TimelineSource;
}

/** A timeline that is open: its tracks, what is selected, search and tools. */
export function Workspace({ recorded, source }: WorkspaceProps) {
  const { data, lines } = recorded;
  const { query } = route.value;
  const usual = useMemo(() => (lines ? "time" : usualScale(data)), [data, lines]);
  const scale = scaleOf(query["scale"]) ?? usual;
  const axis = useMemo(() => axisOf(data, scale, lines), [data, scale, lines]);
  const folded = query["folded"] ?? "";
  const layout = useMemo(() => layoutOf(data, new Set(numbersOf(folded))), [data, folded]);
  const selected = selectedOf(recorded, query);
  const flows = useMemo(() => (selected < 0 ? [] : flowsOf(data, selected)), [data, selected]);
  const find = query["find"] ?? "";
  const hits = useMemo(() => hitsOf(recorded, find), [recorded, find]);
  const search = useRef<HTMLInputElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const window = useSignal<Window>(windowOf(query, axis) ?? firstWindow(recorded, query, axis));
  const written = useRef(`${query["from"]} ${query["to"]} ${scale}`);

  // The address follows the window, and the window an address that came from elsewhere.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = window.subscribe((value) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const next = windowQuery(value, axis);
        const key = `${next["from"]} ${next["to"]} ${axis.scale}`;
        if (key === written.current) return;
        written.current = key;
        change(next, "replace");
      }, rest);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [axis]);
  useEffect(() => {
    const key = `${query["from"]} ${query["to"]} ${scale}`;
    if (key === written.current) return;
    written.current = key;
    window.value = windowOf(query, axis) ?? whole(axis);
  }, [query["from"], query["to"], axis]);

  const select = (row: number, step: "push" | "replace" = "push"): void => {
    if (row === selected) return;
    change({ select: row < 0 ? undefined : `${row}`, request: undefined }, step);
    if (row >= 0)
      window.value = showing(window.peek(), axis.starts[row]!, axis.ends[row]! + axis.widen, axis);
  };
  const toHit = (by: 1 | -1): void => {
    const { rows } = hits ?? { rows: new Int32Array(0) };
    if (rows.length === 0) return;
    const rank = rankOf(rows, selected);
    const next = by < 0 ? rank - 1 : rows[rank] === selected ? rank + 1 : rank;
    select(rows[(next + rows.length) % rows.length]!, "replace");
  };
  const command = (what: Command): void => {
    if (what === "search") search.current?.focus();
    else if (what === "none") select(-1, "replace");
    else if (selected < 0) {
      if (what === "down") select(firstIn(recorded, layout, axis, window.peek()), "replace");
    } else if (what === "fit")
      window.value = around(axis.starts[selected]!, axis.ends[selected]! + axis.widen, axis);
    else select(neighbour(recorded, selected, what) ?? selected, "replace");
  };
  const setScale = (next: Scale): void => {
    const value = translated(window.peek(), axis, axisOf(data, next, lines));
    window.value = value;
    const bounds = windowQuery(value, axisOf(data, next, lines));
    written.current = `${bounds["from"]} ${bounds["to"]} ${next}`;
    change({ ...bounds, scale: next === usual ? undefined : next }, "push");
  };
  const fold = (track: number): void => {
    const now = new Set(numbersOf(folded));
    if (!now.delete(track)) now.add(track);
    change({ folded: now.size === 0 ? undefined : [...now].join(".") }, "push");
  };
  const total = data.start.length + data.leftOut;
  return (
    <>
      <p class="faint timeline-about">
        {recorded.about}. {countText(total)} events
        {data.leftOut > 0 ? `, of which the first ${countText(data.start.length)} are shown` : ""}.
      </p>
      <Tools
        {...{ axis, window, hits, selected, find, lines, search }}
        fileName={savedName(source)}
        partly={savedPart(data, source)}
        onFind={(text) => change({ find: text === "" ? undefined : text }, "replace")}
        onHit={toHit}
        onLeave={() => scroller.current?.focus()}
        onScale={setScale}
      />
      <div class="timeline-work">
        <Chart
          {...{ data, axis, layout, window, hits, selected, flows, scroller, lines }}
          onSelect={select}
          onFold={fold}
          onCommand={command}
        />
        <div class="timeline-side">
          {selected < 0 ? (
            <p class="faint">
              Select an event: click it, or search and go from hit to hit. Its values, the calls in which it
              happened and the way of its interrupt stand here.
            </p>
          ) : (
            <Details
              {...{ data, axis, flows, lines }}
              row={selected}
              path={pathOf(data, selected, flows, source, recorded.vendor)}
              onSelect={select}
            />
          )}
        </div>
      </div>
      <p class="visually-hidden" role="status">
        {selected < 0
          ? ""
          : `${nameOf(data, selected)} on ${data.tracks[data.track[selected]!]!.name}, ${selected + 1} of ${data.start.length}`}
      </p>
    </>
  );
}

function numbersOf(text: string): number[] {
  return text === "" ? [] : text.split(".").map(Number);
}

/** `select` is a row; `request` the first row of an interrupt. -1 for neither. */
function selectedOf({ data }: Recorded, { select, request }: Readonly<Record<string, string>>): number {
  const row = select === undefined ? -1 : Number(select);
  if (Number.isInteger(row) && row >= 0 && row < data.start.length) return row;
  return request === undefined ? -1 : (flowRows(data, Number(request))[0] ?? -1);
}

function windowOf({ from, to }: Readonly<Record<string, string>>, axis: Axis): Window | null {
  if (from === undefined || to === undefined) return null;
  const window = { from: Number(from), to: Number(to) };
  return window.to > window.from ? fitted(window, axis) : null;
}

/** Where a link does not say what to show: the interrupt that it names, or everything. */
function firstWindow({ data }: Recorded, { request }: Readonly<Record<string, string>>, axis: Axis): Window {
  const rows = request === undefined ? [] : flowRows(data, Number(request));
  if (rows.length === 0) return whole(axis);
  return around(axis.starts[rows[0]!]!, axis.starts[rows.at(-1)!]!, axis);
}

function hitsOf({ data }: Recorded, text: string): Hits | null {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return null;
  const has = (name: string): number => (name.toLowerCase().includes(wanted) ? 1 : 0);
  const names = Uint8Array.from(data.names, has);
  const tracks = Uint8Array.from(data.tracks, ({ name }) => has(name));
  return { rows: found(data, names, tracks), before: foundBefore(data, names, tracks), names, tracks };
}

/** The same stretch on another scale. Rows ascend on both. */
function translated(window: Window, before: Axis, after: Axis): Window {
  const all = whole(before);
  if (window.from <= all.from && window.to >= all.to) return whole(after);
  const { starts } = before;
  const placeAt = (x: number): number => {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! < x) low = middle + 1;
      else high = middle;
    }
    return Math.min(low, starts.length - 1);
  };
  return fitted(
    { from: after.starts[placeAt(window.from)]!, to: after.starts[placeAt(window.to)]! + after.widen },
    after,
  );
}

function scaleOf(text: string | undefined): Scale | undefined {
  return text === "order" || text === "time" ? text : undefined;
}

/** The first row that begins in a window and is not folded away; -1 for none. */
function firstIn({ data }: Recorded, layout: Layout, { starts }: Axis, { from, to }: Window): number {
  for (let row = 0; row < starts.length && starts[row]! <= to; row++) {
    if (starts[row]! >= from && laneTop(layout, data.lanes.indexOf(laneOf(data, row))) !== null) return row;
  }
  return -1;
}

/** Where a key leads from a row; undefined where there is nothing. */
function neighbour({ data }: Recorded, row: number, command: Command): number | undefined {
  const lane = laneOf(data, row);
  const place = placeOf(data, row);
  switch (command) {
    case "left":
      return place > lane.from ? data.rows[place - 1] : undefined;
    case "right":
      return place + 1 < lane.to ? data.rows[place + 1] : undefined;
    case "up":
      return enclosing(data, row)[0];
    case "down":
      // Rows begin in their order: the first that stands in a slice comes right behind it on its track.
      for (let next = row + 1; next < data.start.length && data.first[next]! < data.last[row]!; next++) {
        if (data.track[next] === lane.track) return next;
      }
      return undefined;
    case "back":
    case "forward": {
      const [flow] = flowsOf(data, row);
      return flow?.rows[flow.rows.indexOf(row) + (command === "back" ? -1 : 1)];
    }
    default:
      return undefined;
  }
}
