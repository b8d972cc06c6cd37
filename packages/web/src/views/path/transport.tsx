import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { change, route } from "../../state/route.ts";
import { type Walk, neighbour } from "./telling.ts";
import type { RowChoice } from "./row-choice.ts";

/** Steps a second. */
const speeds = [1, 2, 5, 10, 30];
const usualSpeed = 2;

interface TransportProps extends RowChoice {
  readonly walk: Walk;
  readonly playing: boolean;
  readonly setPlaying: (playing: boolean) => void;
  /** In which keys count; null: anywhere on the page. */
  readonly keysOf: RefObject<HTMLElement | null> | null;
}

/** Where keys mean something else: what is typed into, and what takes arrows or space itself. */
function takesKeys(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.closest("input, select, textarea, [contenteditable], .bit-row.editable") !== null;
}

/** Keys with which a browser scrolls: they go through the steps where nothing has the focus, or what goes through them. */
const scrolling: ReadonlySet<string> = new Set(["Home", "End", "PageUp", "PageDown", " "]);

function scrolls({ key, target }: KeyboardEvent): boolean {
  if (!scrolling.has(key) || !(target instanceof HTMLElement)) return false;
  return target.closest(".transport, .step-list") === null && target.closest("main > *") !== null;
}

/** Ways to go through the steps: buttons, a slider, keys, or by itself. */
export function Transport({ walk, row, goTo, playing, setPlaying, keysOf }: TransportProps) {
  const { rows, episodeStarts, interruptStarts } = walk;
  const last = rows.length - 1;
  const speedText = route.value.query["speed"];
  const speed = speeds.find((one) => String(one) === speedText) ?? usualSpeed;

  const targets: Readonly<Record<string, number>> = {
    Home: 0,
    End: last,
    ArrowLeft: row - 1,
    ArrowRight: row + 1,
    PageUp: neighbour(episodeStarts, row, -1),
    PageDown: neighbour(episodeStarts, row, 1),
    "Shift+ArrowLeft": neighbour(interruptStarts, row, -1),
    "Shift+ArrowRight": neighbour(interruptStarts, row, 1),
  };
  const press = useRef<(event: KeyboardEvent) => void>(() => {});
  press.current = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    if (takesKeys(event.target) || scrolls(event)) return;
    if (event.key === " " && !(event.target as HTMLElement).closest("button, a, summary, [role=listbox]")) {
      setPlaying(!playing);
      event.preventDefault();
      return;
    }
    const to = targets[`${event.shiftKey ? "Shift+" : ""}${event.key}`];
    if (to === undefined) return;
    setPlaying(false);
    goTo(to, "replace");
    event.preventDefault();
  };
  useEffect(() => {
    const place = keysOf?.current ?? document.body;
    const listen = (event: KeyboardEvent): void => press.current(event);
    place.addEventListener("keydown", listen);
    return () => place.removeEventListener("keydown", listen);
  }, []);

  const tick = useRef<() => void>(() => {});
  tick.current = () => {
    if (row >= last) setPlaying(false);
    else goTo(row + 1, "replace");
  };
  useEffect(() => {
    if (!playing) return undefined;
    const timer = setInterval(() => tick.current(), 1000 / speed);
    return () => clearInterval(timer);
  }, [playing, speed]);

  const button = (label: string, sign: string, key: string) => {
    const to = targets[key]!;
    return (
      <button
        type="button"
        aria-label={label}
        title={`${label} (${key.replace("Arrow", "").replace("Left", "←").replace("Right", "→")})`}
        disabled={to === row || to < 0 || to > last}
        onClick={() => (setPlaying(false), goTo(to, "replace"))}
      >
        {sign}
      </button>
    );
  };
  return (
    <div class="transport" role="group" aria-label="Go through the steps">
      {button("Previous episode", "|«", "PageUp")}
      {button("Previous interrupt", "«", "Shift+ArrowLeft")}
      {button("Step back", "‹", "ArrowLeft")}
      <button
        type="button"
        class="play"
        onClick={() => (row >= last && !playing && goTo(0, "replace"), setPlaying(!playing))}
      >
        {playing ? "Pause" : "Play"}
      </button>
      {button("Step forward", "›", "ArrowRight")}
      {button("Next interrupt", "»", "Shift+ArrowRight")}
      {button("Next episode", "»|", "PageDown")}
      <Slider walk={walk} row={row} goTo={(to) => (setPlaying(false), goTo(to, "replace"))} />
      <span class="count">
        {(row + 1).toLocaleString("en")} of {rows.length.toLocaleString("en")}
      </span>
      <label>
        <span class="visually-hidden">Steps a second</span>
        <select value={speed} onChange={(event) => change({ speed: event.currentTarget.value }, "replace")}>
          {speeds.map((one) => (
            <option key={one} value={one}>
              {one} / s
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

/** The whole run on a line, with a mark where each episode begins. */
function Slider({
  walk,
  row,
  goTo,
}: {
  readonly walk: Walk;
  readonly row: number;
  readonly goTo: (row: number) => void;
}) {
  const { rows, episodeStarts } = walk;
  const span = Math.max(1, rows.length - 1);
  return (
    <span class="slider">
      <input
        type="range"
        aria-label="Step"
        min={1}
        max={rows.length}
        value={row + 1}
        onInput={(event) => goTo(Number(event.currentTarget.value) - 1)}
      />
      <span class="slider-marks" aria-hidden="true">
        {episodeStarts.slice(0, 200).map((start) => (
          <span key={start} style={{ left: `${(100 * start) / span}%` }} />
        ))}
      </span>
    </span>
  );
}

/** Playing stops when what is played changes. */
export function usePlaying(what: unknown): [boolean, (playing: boolean) => void] {
  const [playing, setPlaying] = useState(false);
  useEffect(() => setPlaying(false), [what]);
  return [playing, setPlaying];
}
