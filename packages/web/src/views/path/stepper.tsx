import type { ComponentChildren } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { Diagram } from "./diagram.tsx";
import { StepList } from "./step-list.tsx";
import { StepPanel } from "./step-panel.tsx";
import { type Arrival, type Telling, type WalkRow, arrivalRow, stepAt, walkOf } from "./telling.ts";
import { Transport, usePlaying } from "./transport.tsx";
import { rowChoice } from "./row-choice.ts";

interface StepperProps {
  /** One, or two that go in step. */
  readonly tellings: readonly Telling[];
  /** Rows of two; of one none are wanted. */
  readonly pairs?: readonly WalkRow[];
  readonly arrival?: Arrival;
  /** What stands beside the step in place of the list of all: keys then count in the stepper alone, and not on the whole page. */
  readonly children?: ComponentChildren;
}

const noPairs: readonly WalkRow[] = [];
const beginning: Arrival = {};

/** The diagram, the steps, and the one that is looked at. */
export function Stepper({ tellings, pairs = noPairs, arrival = beginning, children }: StepperProps) {
  const part = children !== undefined;
  const root = useRef<HTMLDivElement>(null);
  const walk = useMemo(() => walkOf(tellings, pairs), [tellings, pairs]);
  const choice = rowChoice(walk.rows.length, arrivalRow(walk, arrival));
  const { row, goTo } = choice;
  const [playing, setPlaying] = usePlaying(walk);
  const places = tellings.map((_, side) => stepAt(walk, side, row));
  const goToStep = (side: number, index: number): void => {
    const to = walk.rows.findIndex((one) => one[side] === index);
    if (to >= 0) goTo(to, "push");
  };
  return (
    <div class={`stepper${part ? " part" : ""}${tellings.length > 1 ? " two" : ""}`} ref={root}>
      {tellings.some(({ leftOut }) => leftOut > 0) ? (
        <p class="aside">
          {`Of each episode the first steps are kept. Left out: ${tellings
            .filter(({ leftOut }) => leftOut > 0)
            .map(({ name, leftOut }) => `${leftOut.toLocaleString("en")}${name === "" ? "" : ` of ${name}`}`)
            .join(", ")}.`}
        </p>
      ) : null}
      <Transport
        walk={walk}
        {...choice}
        playing={playing}
        setPlaying={setPlaying}
        keysOf={part ? root : null}
      />
      {tellings.map((telling, side) => (
        <div class="run-diagram" key={telling.name}>
          {telling.name === "" ? null : <h2 class="run-name">{telling.name}</h2>}
          <Diagram
            steps={telling.steps}
            at={places[side]?.index ?? null}
            name={telling.name}
            compact={tellings.length > 1}
            goToStep={(index) => goToStep(side, index)}
          />
        </div>
      ))}
      <div class="step-area">
        {part ? null : (
          <div class="step-list-frame">
            {tellings.length === 1 ? null : (
              <div class="step-list-heads" aria-hidden="true">
                {tellings.map(({ name }) => (
                  <span>{name}</span>
                ))}
              </div>
            )}
            <StepList walk={walk} {...choice} />
          </div>
        )}
        {tellings.map((telling, side) => (
          <StepPanel
            key={telling.name}
            telling={telling}
            index={places[side]?.index ?? null}
            earlier={places[side]?.here === false}
            spoken={!playing && side === 0}
          />
        ))}
        {children}
      </div>
    </div>
  );
}
