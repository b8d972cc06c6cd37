import type { Sequence } from "@intremap/core";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type PlacedArrow, type PlacedBeat, placeSequence, sizes } from "./sequence-layout.ts";

interface SequenceDiagramProps {
  readonly sequence: Sequence;
  /** The move that is looked at, from 1; 0 before the first. */
  readonly step: number;
  readonly goTo: (step: number) => void;
}

/** Who does what, from top to bottom; a click goes to a move. */
export function SequenceDiagram({ sequence, step, goTo }: SequenceDiagramProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(700);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setRoom(Math.floor(entry!.contentRect.width)));
    watch.observe(frame.current!);
    return () => watch.disconnect();
  }, []);
  const { width, height, lanes, beats, roundY } = useMemo(
    () => placeSequence(sequence, room),
    [sequence, room],
  );
  useEffect(() => {
    const row = beats[step - 1];
    const box = frame.current?.parentElement;
    if (row === undefined || box === null || box === undefined) return;
    const below = row.top + row.height + sizes.head + sizes.foot - box.clientHeight;
    box.scrollTop = Math.min(row.top, Math.max(box.scrollTop, below));
  }, [step, beats]);
  const { property } = sequence;
  const label = `${property} after ${beats.length} moves between ${lanes.map(({ name }) => name).join(", ")}`;
  return (
    <div class="race-frame" ref={frame}>
      <svg class="sequence heads" width={width} height={sizes.head} aria-hidden="true">
        {lanes.map(({ name, x }) => (
          <text key={name} x={x} y={sizes.head - 10}>
            {name}
          </text>
        ))}
      </svg>
      <svg class="sequence" width={width} height={height} role="img" aria-label={label}>
        {beats.map((beat) => (
          <Band key={beat.number} beat={beat} width={width} current={beat.number === step} goTo={goTo} />
        ))}
        {lanes.map(({ name, x }) => (
          <line key={name} class="lane" x1={x} x2={x} y1="0" y2={height - sizes.foot} />
        ))}
        {beats.map((beat) => (
          <Moved key={beat.number} beat={beat} ahead={beat.number > step} />
        ))}
        {roundY === null ? null : <Round top={roundY} bottom={height - sizes.foot} right={width} />}
        <text class="wrong" x={width / 2} y={height - 9}>
          ✗ {property}
        </text>
      </svg>
    </div>
  );
}

interface BandProps {
  readonly beat: PlacedBeat;
  readonly width: number;
  readonly current: boolean;
  readonly goTo: (step: number) => void;
}

/** What a click on a move falls on. */
function Band({ beat: { number, top, height }, width, current, goTo }: BandProps) {
  return (
    <g
      class={current ? "band current" : "band"}

      onClick={() => goTo(number)}
    >
      <rect x="0" y={top} width={width} height={height} />
      <text x="8" y={top + height / 2 + 4}>
        {number}
      </text>
    </g>
  );
}

function Moved({ beat, ahead }: { readonly beat: PlacedBeat; readonly ahead: boolean }) {
  const { x, boxY, text } = beat;
  const width = text.length * 6.7 + 12;
  return (
    <g class={ahead ? "moved ahead" : "moved"}>
      <rect x={x - width / 2} y={boxY} width={width} height={sizes.box} rx="4" />
      <text x={x} y={boxY + 15}>
        {text}
      </text>
      {beat.arrows.map((arrow) => (
        <Sent key={`${arrow.from} ${arrow.to} ${arrow.what}`} arrow={arrow} />
      ))}
    </g>
  );
}

function Sent({ arrow: { fromX, toX, y, what } }: { readonly arrow: PlacedArrow }) {
  const back = toX > fromX ? -7 : 7;
  return (
    <g class="sent">
      <line x1={fromX} x2={toX} y1={y} y2={y} />
      <path d={`M ${toX} ${y} l ${back} -4 v 8 z`} />
      <text x={(fromX + toX) / 2} y={y - 4}>
        {what}
      </text>
    </g>
  );
}

/** A bracket beside moves that go round. */
function Round({
  top,
  bottom,
  right,
}: {
  readonly top: number;
  readonly bottom: number;
  readonly right: number;
}) {
  return (
    <g class="round">
      <path d={`M ${right - 16} ${top + 4} h 6 V ${bottom - 4} h -6`} />
      <text x={right - 20} y={top + 16}>
        goes round ↻
      </text>
    </g>
  );
}
