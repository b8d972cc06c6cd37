import { TimelineStore, runScenario } from "@intremap/core";
import { openImage } from "../images.ts";
import { type Recorded, forget, keep } from "../kept-timeline.ts";
import { openScenario } from "../scenario.ts";
import type { Tell } from "../tasks.ts";

/** A scenario, and what was chosen of it. */
export interface TimelineOfScenario {
  readonly scenario: string;
  readonly variant?: string;
  readonly values: Readonly<Record<string, number>>;
}

/** Runs a scenario and keeps its timeline. @throws InputError, ShapeError when it cannot be read. */
export async function recordTimeline(
  { scenario: name, variant, values }: TimelineOfScenario,
  tell: Tell,
): Promise<Recorded> {
  forget();
  const opened = openScenario(name);
  const declared = new Set(opened.parameters.map((parameter) => parameter.name));
  const known = Object.fromEntries(Object.entries(values).filter(([key]) => declared.has(key)));
  const scenario = opened.read({ values: known, ...(variant !== undefined && { variant }) });
  const store = new TimelineStore();
  const { title, settings, kernel } = await runScenario(scenario, {
    timeline: store,
    openImage,
    progress: async (text) => tell(`${text}, ${store.rows.toLocaleString("en")} events`),
  });
  tell("sorting the events");
  return keep(store, { title, about: `Linux ${kernel}, ${settings}`, lines: false, vendor: null });
}
