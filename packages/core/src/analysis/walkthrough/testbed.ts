import { type Draft, scenarioOf } from "../../machine/testbed.ts";
import type { WalkStep } from "./step.ts";
import { type WalkOptions, walkScenario } from "./walk-scenario.ts";
import type { Walkthrough } from "./walkthrough.ts";

/** Walks through a draft. */
export function walkDraft(draft: Draft, options: WalkOptions = {}): Promise<Walkthrough> {
  return walkScenario(scenarioOf(draft), options);
}

/** The steps of one request. */
export function ofRequest({ steps }: Walkthrough, request: number): WalkStep[] {
  return steps.filter((step) => step.request === request);
}
