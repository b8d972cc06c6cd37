import { useMemo } from "preact/hooks";
import { route } from "../../state/route.ts";
import { Diagram } from "./diagram.tsx";
import { StepList } from "./step-list.tsx";
import { StepPanel } from "./step-panel.tsx";
import { type Telling, type WalkRow, rowAt, stepAt, walkOf } from "./telling.ts";
import { Transport, usePlaying } from "./transport.tsx";
import { useRow } from "./use-row.ts";

interface StepperProps {
  /** One, or two that go in step. */
  readonly tellings: readonly Telling[];
  /** Rows of two; of one none are wanted. */
  readonly pairs: readonly WalkRow[];
}

/** Where one arrives: at a moment or an interrupt that the address names, or at the first step. */
function arrivalIn(walk: ReturnType<typeof walkOf>): number {
  const { request, at } = route.value.query;
  if (request !== undefined) {
    const row = walk.rows.findIndex(([left]) => {
      return (
        left !== null && left !== undefined && String(walk.tellings[0]!.steps[left]!.request) === request
      );
    });
    if (row >= 0) return row;
  }
  return at !== undefined && /^\d{1,15}(\.\d*)?$/.test(at) ? rowAt(walk, Number(at)) : 0;
}

/** The diagram, the steps, and the one that is looked at. */
export function Stepper({ tellings, pairs }: StepperProps) {
  const walk = useMemo(() => walkOf(tellings, pairs), [tellings, pairs]);
  const choice = useRow(walk.rows.length, arrivalIn(walk));
  const { row, goTo } = choice;
  const [playing, setPlaying] = usePlaying(walk);
  const places = tellings.map((_, side) => stepAt(walk, side, row));
  const goToStep = (side: number, index: number): void => {
    const to = walk.rows.findIndex((one) => one[side] === index);
    if (to >= 0) goTo(to, "push");
  };
  return (
    <div class={`stepper${tellings.length > 1 ? " two" : ""}`}>
      {tellings.some(({ leftOut }) => leftOut > 0) ? (
        <p class="aside">
          {`Of each episode the first steps are kept. Left out: ${tellings
            .filter(({ leftOut }) => leftOut > 0)
            .map(({ name, leftOut }) => `${leftOut.toLocaleString("en")}${name === "" ? "" : ` of ${name}`}`)
            .join(", ")}.`}
        </p>
      ) : null}
      <Transport walk={walk} {...choice} playing={playing} setPlaying={setPlaying} />
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
        {tellings.map((telling, side) => (
          <StepPanel
            key={telling.name}
            telling={telling}
            index={places[side]?.index ?? null}
            earlier={places[side]?.here === false}
            spoken={!playing && side === 0}
          />
        ))}
      </div>
    </div>
  );
}
