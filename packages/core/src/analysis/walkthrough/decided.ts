import type { Layout } from "../../spec/layout.ts";
import type { Step } from "../path.ts";
import type { Stop, Touched, WalkStep } from "./step.ts";

/** The part of a {@link WalkStep} that a unit's decision gives; when it was made is not told here. */
export type DecidedStep = Omit<WalkStep, "at" | "episode" | "thread" | "stack" | "request">;

/** What one step of a decision looks at. */
export interface Look {
  readonly stop: Stop;
  readonly touched: readonly Touched[];
}

/** Something that is only read. */
export function looked(what: string, { name }: Layout, value: bigint, fields: readonly string[]): Touched {
  return { what, layout: name, before: null, value, fields };
}

/** Steps of a decision, each with what it looked at. @param actor the unit. */
export function decidedSteps(
  steps: readonly Step[],
  look: (step: number) => Look,
  actor: string,
): DecidedStep[] {
  return steps.map(({ step, title, detail, verdict, rule, section }) => {
    const { stop, touched } = look(step);
    return { stop, actor, title, detail, verdict, rule, section, touched };
  });
}

/** Those that were come to. */
export function reachedSteps(
  steps: readonly Step[],
  look: (step: number) => Look,
  actor: string,
): DecidedStep[] {
  const reached = steps.filter(({ verdict }) => verdict !== "not reached");
  return decidedSteps(reached, look, actor);
}
