import type { Sequence } from "@intremap/core";
import { askedIn } from "../../engine/races/question.ts";
import { change, hrefOf, route } from "../../state/route.ts";
import { MovePanel } from "./move-panel.tsx";
import { SequenceDiagram } from "./sequence-diagram.tsx";

interface CounterexampleProps {
  readonly sequence: Sequence;
  readonly vendor: string;
  readonly play: string;
}

const strides: Readonly<Record<string, number>> = {
  ArrowDown: 1,
  ArrowRight: 1,
  ArrowUp: -1,
  ArrowLeft: -1,
  Home: -Infinity,
  End: Infinity,
};

/** The shortest way to what must not be, move by move; the move is part of the address, from 0: before the first. */
export function Counterexample({ sequence, vendor, play }: CounterexampleProps) {
  const { query } = route.value;
  const last = sequence.beats.length;
  const within = (step: number): number => Math.min(last, Math.max(0, step));
  const asked = Number(query["step"] ?? 1);
  const step = Number.isInteger(asked) ? within(asked) : 1;
  const goTo = (to: number): void => change({ step: String(within(to)) }, "replace");
  const onKey = (event: KeyboardEvent): void => {
    const stride = strides[event.key];
    if (stride === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    goTo(step + stride);
  };
  const { vendor: _, ...texts } = askedIn(query);
  const path = hrefOf("path", { race: vendor, ...texts, play, step: String(Math.max(1, step)) });
  return (
    <div class="race-case">
      <div class="race-control" role="group" aria-label="Step through it">
        <button
          type="button"
          onClick={() => goTo(0)}
          disabled={step === 0}
          aria-label="Before the first move"
        >
          |◀
        </button>
        <button type="button" onClick={() => goTo(step - 1)} disabled={step === 0} aria-label="One move back">
          ◀
        </button>
        <button
          type="button"
          onClick={() => goTo(step + 1)}
          disabled={step === last}
          aria-label="One move on"
        >
          ▶
        </button>
        <input
          type="range"
          min="0"
          max={last}
          value={step}
          aria-label="Move"
          aria-valuetext={step === 0 ? "before the first move" : `${step} of ${last}`}
          onInput={({ currentTarget: { value } }) => goTo(Number(value))}
        />
        <output>
          {step} / {last}
        </output>
        <a href={path}>Open in Path</a>
      </div>
      <div
        class="race-diagram"
        tabIndex={0}
        role="group"
        aria-label="Sequence diagram: arrow keys step through it"
        onKeyDown={onKey}
      >
        <SequenceDiagram sequence={sequence} step={step} goTo={goTo} />
      </div>
      <MovePanel sequence={sequence} step={step} />
    </div>
  );
}
