import {
  type GivenScenario,
  InputError,
  type Parameter,
  type Scenario,
  type ScenarioChoice,
  readParameters,
  readScenario,
} from "@intremap/core";
import { scenarioTexts } from "virtual:scenario-texts";
import { parse } from "yaml";

declare global {
  /** Set before the worker's program runs. */
  var givenScenario: GivenScenario | null | undefined;
}

export interface OpenedScenario {
  readonly name: string;
  readonly text: string;
  readonly parameters: Parameter[];
  read(choice: ScenarioChoice): Scenario;
}

/** @throws InputError when none that comes with the page has this name. */
export function openScenario(name: string): OpenedScenario {
  const given = globalThis.givenScenario;
  const builtIn = Object.hasOwn(scenarioTexts, name) ? scenarioTexts[name] : undefined;
  const text = given?.name === name ? given.text : builtIn;
  if (text === undefined) throw new InputError(`scenario ${name.slice(0, 60)}: none has this name`);
  const tree: unknown = parse(text, { maxAliasCount: 100 });
  return {
    name,
    text,
    parameters: readParameters(tree),
    read: (choice) => readScenario(name, tree, choice),
  };
}
