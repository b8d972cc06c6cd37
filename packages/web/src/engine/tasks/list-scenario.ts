import type { Parameter } from "@intremap/core";
import { openScenario } from "../scenario.ts";

/** What a scenario declares. */
export interface ListedScenario {
  readonly text: string;
  readonly title: string;
  readonly about: string;
  readonly parameters: readonly Parameter[];
  readonly variants: readonly { readonly name: string; readonly title: string }[];
  /** The variant or scenario that is shown beside it unless another is asked for. */
  readonly beside: string | null;
}

/** What a scenario that comes with the page declares. */
export function listScenario(name: string): ListedScenario {
  const opened = openScenario(name);
  const { text, parameters } = opened;
  const { title, about, variants, beside } = opened.read({});
  return {
    text,
    title,
    about,
    parameters,
    variants: variants.map((variant) => ({ name: variant, title: opened.read({ variant }).title })),
    beside: beside ?? null,
  };
}
