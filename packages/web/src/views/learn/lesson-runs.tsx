import type { RunResult } from "@intremap/core";
import { useMemo } from "preact/hooks";
import { Outcomes } from "../path/outcomes.tsx";
import { Stepper } from "../path/stepper.tsx";
import type { Walked } from "../path/use-walk.ts";
import type { Lesson } from "./lesson.ts";

interface LessonRunsProps {
  readonly walked: Walked;
  /** What each run is, in a few words. */
  readonly names: readonly string[];
  readonly arrival: Lesson["arrival"];
  /** A function of each run whose call stacks are shown. */
  readonly stacks: readonly (string | undefined)[];
}

const always = ["raised", "delivered", "lost", "hostInterrupts", "remapped", "posted"] as const;

/** What the runs came to, what happened in them and who called whom, and their interrupts on the way. */
export function LessonRuns({ walked: { runs, pairs }, names, arrival, stacks }: LessonRunsProps) {
  const tellings = useMemo(
    () =>
      runs.map(({ result: { title, episodes }, steps, leftOut }, i) => {
        const name = runs.length > 1 ? names[i]! : "";
        return { name, title, steps, episodes, leftOut, timed: true, timeline: null };
      }),
    [runs],
  );
  return (
    <>
      <Outcomes results={runs.map(({ result }, i) => ({ name: names[i]!, result }))} always={always} />
      <div class={runs.length > 1 ? "lesson-runs two" : "lesson-runs"}>
        {runs.map(({ result }, i) => (
          <Told key={names[i]} result={result} name={names[i]!} symbol={stacks[i]} />
        ))}
      </div>
      <Stepper tellings={tellings} pairs={pairs} arrival={arrival} as="part" />
    </>
  );
}

function Told({
  result: { title, settings, episodes, faults, stacks },
  name,
  symbol,
}: {
  readonly result: RunResult;
  readonly name: string;
  readonly symbol: string | undefined;
}) {
  return (
    <section aria-label={name}>
      <h3>{title}</h3>
      <p class="lesson-settings">{settings}</p>
      <div class="lesson-told">
        <div>
          <ol class="episodes">
            {episodes.map(({ at, what, details }, i) => (
              <li key={i}>
                <span class="at">{(at / 1000).toFixed(1)} µs</span>
                <div>
                  {what}
                  {details.map((detail, j) => (
                    <small key={j}>{detail}</small>
                  ))}
                </div>
              </li>
            ))}
          </ol>
          {faults.length === 0 ? null : (
            <ul class="lesson-faults" aria-label="Faults">
              {faults.map(({ fault, rule, section, count }) => (
                <li key={fault}>
                  {count.toLocaleString("en")} × {fault} <code>{rule}</code> {section}
                </li>
              ))}
            </ul>
          )}
        </div>
        {symbol === undefined ? null : (
          <Stacks symbol={symbol} stacks={stacks.filter(({ frames }) => frames[0] === symbol)} />
        )}
      </div>
    </section>
  );
}

function Stacks({ symbol, stacks }: { readonly symbol: string; readonly stacks: RunResult["stacks"] }) {
  if (stacks.length === 0) {
    return (
      <p class="lesson-settings">
        <code>{symbol}</code> is not called here.
      </p>
    );
  }
  return (
    <div class="lesson-stacks">
      {stacks.map(({ frames, count }) => (
        <figure key={frames.join(" ")}>
          <figcaption>
            <code>{symbol}</code>, {count} × from
          </figcaption>
          <ol>
            {frames.map((frame, i) => (
              <li key={i}>
                <code>{frame}</code>
              </li>
            ))}
          </ol>
        </figure>
      ))}
    </div>
  );
}
