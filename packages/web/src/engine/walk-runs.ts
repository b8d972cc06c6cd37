import { type StepPair, type Walkthrough, alignSteps, walkScenario } from "@intremap/core";
import { openImage } from "./images.ts";
import { openScenario } from "./scenario.ts";
import type { Tell } from "./tasks.ts";

/** A run of a scenario that comes with the page. Values that it has no parameter for are left out. */
export interface WalkChoice {
  readonly scenario: string;
  readonly variant?: string;
  readonly values: Readonly<Record<string, number>>;
}

export interface WalkedRuns {
  readonly left: Walkthrough;
  readonly right: Walkthrough | null;
  /** Steps of both runs beside each other; empty where there is one run. */
  readonly pairs: readonly StepPair[];
}

/** Runs one scenario, or two that are put in step. */
export async function walkRuns(
  { left, right }: { readonly left: WalkChoice; readonly right: WalkChoice | null },
  tell: Tell,
): Promise<WalkedRuns> {
  const first = await walkOne(left, tell);
  if (right === null) return { left: first, right: null, pairs: [] };
  const second = await walkOne(right, tell);
  return { left: first, right: second, pairs: alignSteps(first.steps, second.steps) };
}

async function walkOne({ scenario, variant, values }: WalkChoice, tell: Tell): Promise<Walkthrough> {
  const opened = openScenario(scenario);
  const known = new Set(opened.parameters.map(({ name }) => name));
  const chosen = Object.fromEntries(Object.entries(values).filter(([name]) => known.has(name)));
  return walkScenario(opened.read({ values: chosen, ...(variant !== undefined && { variant }) }), {
    openImage,
    progress: async (text) => tell(text),
  });
}
