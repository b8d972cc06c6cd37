import type { Stop, WalkStep } from "@intremap/core";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { type Box, type Way, cut, geometryOf, letter, wrapped } from "./diagram-geometry.ts";
import { type StopState, stopOf, stopStates, stopTitles } from "./stop-state.ts";

interface DiagramProps {
  readonly steps: readonly WalkStep[];
  /** The step that is shown; null before the first. */
  readonly at: number | null;
  /** Which run it is of, where there are two. */
  readonly name: string;
  /** Less high: there are two. */
  readonly compact: boolean;
  readonly goToStep: (index: number) => void;
}

/** Pixels that the diagram has, as they change. */
function useWidth(): { readonly width: number; readonly ref: { current: HTMLDivElement | null } } {
  const ref = useRef<HTMLDivElement | null>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const box = ref.current!;
    const watch = new ResizeObserver(() => setWidth(Math.floor(box.clientWidth)));
    watch.observe(box);
    setWidth(Math.floor(box.clientWidth));
    return () => watch.disconnect();
  }, []);
  return { width, ref };
}

/** The interrupt's way, and what stands at each stop of it at a moment. */
export function Diagram({ steps, at, name, compact, goToStep }: DiagramProps) {
  const { width, ref } = useWidth();
  const boxHeight = compact ? 70 : 98;
  const geometry = useMemo(() => (width === 0 ? null : geometryOf(width, boxHeight)), [width, boxHeight]);
  const states = useMemo(() => stopStates(steps, at ?? -1), [steps, at]);
  const step = at === null ? undefined : steps[at];
  const ends = useId();
  return (
    <div class="path-diagram" ref={ref} style={{ minHeight: `${2 * boxHeight + 26}px` }}>
      {geometry === null ? null : (
        <svg width={width} height={geometry.height} role="img" aria-label={spoken(name, step)}>
          <defs>
            {(["idle", "on", "now"] as const).map((look) => (
              <marker
                key={look}
                id={`${ends}${look}`}
                class={`way-end ${look}`}
                viewBox="0 0 8 8"
                refX="7"
                refY="4"
                markerWidth="8"
                markerHeight="8"
                markerUnits="userSpaceOnUse"
                orient="auto"
              >
                <path d="M0 0L8 4L0 8z" />
              </marker>
            ))}
          </defs>
          {geometry.ways
            .map((way) => ({ way, look: lookOf(way, states, step) }))
            .filter(({ way, look }) => way.from !== "software" || look !== "idle")
            .sort((a, b) => looks.indexOf(a.look) - looks.indexOf(b.look))
            .map(({ way, look }) => (
              <path class={`way ${look}`} d={way.d} marker-end={`url(#${ends}${look})`} />
            ))}
          {[...states.values()].map((state) => (
            <StopBox
              key={state.stop}
              state={state}
              box={geometry.boxes[state.stop]}
              step={step}
              goToStep={goToStep}
            />
          ))}
        </svg>
      )}
    </div>
  );
}

const looks = ["idle", "on", "now"] as const;

function spoken(name: string, step: WalkStep | undefined): string {
  const what = name === "" ? "The interrupt's way" : `The interrupt's way, ${name}`;
  return step === undefined ? what : `${what}: now at ${stopTitles[step.stop]}, ${step.actor}: ${step.title}`;
}

/** Software's ways are seen while it uses them; the others when the interrupt has come along them. */
function lookOf(
  way: Way,
  states: ReadonlyMap<Stop, StopState>,
  step: WalkStep | undefined,
): (typeof looks)[number] {
  if (step === undefined) return "idle";
  if (way.from === "software") {
    if (step.thread === null) return "idle";
    const reaches = step.stop === way.to || step.touched.some((touched) => stopOf(touched) === way.to);
    return reaches ? "now" : "idle";
  }
  const from = states.get(way.from)!.phase;
  const to = states.get(way.to)!.phase;
  if (from === "earlier" || to === "earlier") return "idle";
  // What is posted does not go to the local APIC from the entry.
  if (way.from === "entry" && way.to === "apic" && states.get("descriptor")!.phase !== "earlier")
    return "idle";
  return to === "now" && step.thread === null ? "now" : "on";
}

interface StopBoxProps {
  readonly state: StopState;
  readonly box: Box;
  readonly step: WalkStep | undefined;
  readonly goToStep: (index: number) => void;
}

const inset = 9;
const lineHeight = 15;

function StopBox({ state, box, step, goToStep }: StopBoxProps) {
  const { stop, actor, phase, blocked, last } = state;
  const room = box.width - 2 * inset;
  const title = stopTitles[stop];
  const sign = blocked ? "✕ " : phase === "now" ? "▸ " : "";
  const lines = Math.floor((box.height - 26) / lineHeight);
  const titleWidth = title.length * 7.2 + (sign === "" ? 10 : 22);
  return (
    <g
      class={`stop ${phase}${blocked ? " blocked" : ""}`}
      data-stop={stop}
      transform={`translate(${box.x} ${box.y})`}
      onClick={() => last !== null && goToStep(last)}
    >
      <title>{`${title}${actor === "" ? "" : `, ${actor}`}${state.title === "" ? "" : `: ${state.title}`}`}</title>
      <rect width={box.width} height={box.height} rx="5" />
      <text class="stop-name" x={inset} y={18}>
        {`${sign}${title}`}
      </text>
      <text class="stop-actor" x={box.width - inset} y={18} text-anchor="end">
        {cut(actor, room - titleWidth)}
      </text>
      {stop === "software" ? (
        <Software state={state} step={step} room={room} lines={lines} />
      ) : (
        <Lines state={state} room={room} lines={lines} />
      )}
    </g>
  );
}

/** The fields that matter; without any, what happened here last. */
function Lines({
  state,
  room,
  lines,
}: {
  readonly state: StopState;
  readonly room: number;
  readonly lines: number;
}) {
  if (state.fields.length === 0) {
    return (
      <>
        {wrapped(state.title, room, lines).map((line, i) => (
          <text class="stop-line" x={inset} y={36 + i * lineHeight}>
            {line}
          </text>
        ))}
      </>
    );
  }
  // Two beside each other where they do not fit under each other.
  const columns = state.fields.length > lines ? 2 : 1;
  // The second column begins where the first one's texts that have a neighbour end.
  const widest = Math.max(
    0,
    ...state.fields
      .slice(0, -1)
      .map(({ name, value }, i) => (i % columns === 0 ? name.length + value.length + 2.2 : 0)),
  );
  const second = columns === 1 ? room : Math.min(widest * letter, room * 0.66);
  const shown = state.fields.slice(0, lines * columns);
  const roomOf = (i: number): number => {
    if (i % columns !== 0) return room - second;
    return i === shown.length - 1 ? room : second;
  };
  return (
    <>
      {shown.map(({ name, value, written }, i) => (
        <text
          class={`stop-line${written ? " written" : ""}`}
          x={inset + (i % columns) * second}
          y={36 + Math.floor(i / columns) * lineHeight}
        >
          <tspan class="field-name">{name}</tspan>
          {` ${cut(value, roomOf(i) - (name.length + 1) * letter)}`}
        </text>
      ))}
    </>
  );
}

/** The thread that runs and its innermost calls. */
function Software({
  state,
  step,
  room,
  lines,
}: {
  readonly state: StopState;
  readonly step: WalkStep | undefined;
  readonly room: number;
  readonly lines: number;
}) {
  const running = step !== undefined && step.thread !== null;
  const said = running ? [`${step.thread}: ${[...step.stack].slice(0, 12).join(" ← ")}`] : [state.title];
  return (
    <>
      {wrapped(said.join(" "), room, lines).map((line, i) => (
        <text class="stop-line" x={inset} y={36 + i * lineHeight}>
          {line}
        </text>
      ))}
    </>
  );
}
