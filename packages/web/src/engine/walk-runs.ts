import { type StepPair, type Walkthrough, alignSteps, walkScenario } from "@intremap/core";
import { openImage } from "./images.ts";
import { openScenario } from "./scenario.ts";
import type { Tell } from "./tasks.ts";

/** A run of a scenario that comes with the page. Values that it has no parameter for are left out. */
export interface WalkChoice {
  readonly scenario: string;
  readonly variant?: string | undefined;
  readonly values?: Readonly<Record<string, number>>;
}

export interface WalkedRuns {
  readonly left: Walkthrough;
  readonly right: Walkthrough | null;
  /** Steps of both runs beside each other; empty where there is one run. */
  readonly pairs: readonly StepPair[];
}

export interface WalkQuestion {
  readonly left: WalkChoice;
  /** What runs beside it. */
  readonly right: WalkChoice | null;
  /** Functions whose call stacks are counted. */
  readonly stacks?: readonly string[];
}

/** Runs one scenario, or two that are put in step. */
export async function walkRuns({ left, right, stacks = [] }: WalkQuestion, tell: Tell): Promise<WalkedRuns> {
  const first = await walkOne(left, stacks, tell);
  if (right === null) return { left: first, right: null, pairs: [] };
  const second = await walkOne(right, stacks, tell);
  return { left: first, right: second, pairs: alignSteps(first.steps, second.steps) };
}

async function walkOne(
  { scenario, variant, values = {} }: WalkChoice,
  stacks: readonly string[],
  tell: Tell,
): Promise<Walkthrough> {
  const opened = openScenario(scenario);
  const known = new Set(opened.parameters.map(({ name }) => name));
  const chosen = Object.fromEntries(Object.entries(values).filter(([name]) => known.has(name)));
  return walkScenario(opened.read({ values: chosen, ...(variant !== undefined && { variant }) }), {
    openImage,
    stacks,
    progress: async (text) => tell(text),
  });
}
