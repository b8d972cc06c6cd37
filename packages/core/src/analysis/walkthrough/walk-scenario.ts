import { type RunOptions, runScenario } from "../../machine/run.ts";
import type { Scenario } from "../../machine/scenario/scenario.ts";
import { StepList } from "./step-list.ts";
import { Walker } from "./walker.ts";
import type { Walkthrough } from "./walkthrough.ts";

/** Steps of a run that are kept unless told. */
export const stepLimit = 20_000;

export interface WalkOptions extends Pick<RunOptions, "openImage" | "progress" | "stacks"> {
  /** The most steps that are kept. */
  readonly limit?: number;
}

/**
 * Runs a scenario, and tells what happens on its machine step by step, from its boot to the end of its script.
 * @throws ShapeError when its machine cannot be built.
 */
export async function walkScenario(scenario: Scenario, options: WalkOptions = {}): Promise<Walkthrough> {
  const { limit = stepLimit, ...rest } = options;
  const list = new StepList(limit, scenario.script.length + 1);
  const result = await runScenario(scenario, { ...rest, onlooker: new Walker(list) });
  return { result, steps: list.steps, leftOut: list.leftOut };
}
