import { useMemo, useRef } from "preact/hooks";
import { Diagram } from "./diagram.tsx";
import { StepList } from "./step-list.tsx";
import { StepPanel } from "./step-panel.tsx";
import { type Arrival, type Telling, type WalkRow, arrivalRow, stepAt, walkOf } from "./telling.ts";
import { Transport, usePlaying } from "./transport.tsx";
import { rowChoice } from "./row-choice.ts";
import { route } from "../../state/route.ts";

interface StepperProps {
  /** One, or two that go in step. */
  readonly tellings: readonly Telling[];
  /** Rows of two; of one none are wanted. */
  readonly pairs?: readonly WalkRow[];
  readonly arrival?: Arrival;
  /** `page`: it is what the page is about, and has its keys. `part`: without the list, and keys count in it alone. */
  readonly as?: "page" | "part";
}

const noPairs: readonly WalkRow[] = [];
const beginning: Arrival = {};

/** The diagram, the steps, and the one that is looked at. */
export function Stepper({ tellings, pairs = noPairs, arrival = beginning, as = "page" }: StepperProps) {
  const part = as === "part";
  const root = useRef<HTMLDivElement>(null);
  const walk = useMemo(() => walkOf(tellings, pairs), [tellings, pairs]);
  const { request, at, calls } = arrival;
  const arrived = useMemo(() => arrivalRow(walk, { request, at, calls }), [walk, request, at, calls]);
  const choice = rowChoice(walk.rows.length, arrived.row);
  const { row, goTo } = choice;
  const [playing, setPlaying] = usePlaying(walk);
  const places = tellings.map((_, side) => stepAt(walk, side, row));
  /** The side that does something here; what the other did before stands there unchanged. */
  const speaking = Math.max(
    0,
    places.findIndex((place) => place?.here === true),
  );
  const missed = route.value.query["step"] === undefined ? arrived.missed : choice.missed;
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
      {missed === null || part ? null : (
        <p class="notice info" role="status">
          {missed}: this is step {row + 1}.
        </p>
      )}
      <Transport
        walk={walk}
        {...choice}
        playing={playing}
        setPlaying={setPlaying}
        keysOf={part ? root : null}
      />
      {tellings.map((telling, side) => (
        <div class="run-diagram" key={telling.name}>
          {telling.name === "" ? null : (
            <h2 class="run-name">
              {telling.name}
              {places[side]?.here === true ? (
                <span class="run-step" aria-hidden="true">
                  {telling.steps[places[side].index]!.title}
                </span>
              ) : null}
            </h2>
          )}
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
            spoken={!playing && side === speaking}
          />
        ))}
      </div>
    </div>
  );
}
