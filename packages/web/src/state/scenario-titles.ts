import { scenarioTitles as builtIn } from "virtual:scenario-titles";
import { given } from "./given.ts";

/** The scenarios that one can choose: one that came with the page first. */
export const scenarioTitles: typeof builtIn =
  given.scenario === null
    ? builtIn
    : [given.scenario, ...builtIn.filter(({ name }) => name !== given.scenario!.name)];
