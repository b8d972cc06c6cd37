import type { Parameter } from "@intremap/core";
import { useId } from "preact/hooks";
import { usePendingText } from "../../parts/pending-text.ts";
import type { ListedScenario } from "../../engine/tasks/list-scenario.ts";
import { change, go } from "../../state/route.ts";
import { scenarioTitles } from "../../state/scenario-titles.ts";

interface ScenarioFormProps {
  readonly query: Readonly<Record<string, string>>;
  readonly name: string;
  /** What it declares; undefined while that is asked. */
  readonly listed: ListedScenario | undefined;
  /** Of the run beside it. */
  readonly besideParameters: readonly Parameter[];
}

/** The prefix of parameters that only the run beside has. */
export const besidePrefix = "with-";

/** Which scenario, how it is set, and what runs beside it. */
export function ScenarioForm({ query, name, listed, besideParameters }: ScenarioFormProps) {
  const { variant, compare } = query;
  const variants = listed?.variants ?? [];
  const others = scenarioTitles.filter((one) => one.name !== name);
  return (
    <form class="scenario-form" onSubmit={(event) => event.preventDefault()}>
      <label>
        Scenario
        <select value={name} onChange={(event) => go("path", { scenario: event.currentTarget.value })}>
          {scenarioTitles.some((one) => one.name === name) ? null : <option value={name}>{name}</option>}
          {scenarioTitles.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </select>
      </label>
      {variants.length === 0 ? null : (
        <label>
          Variant
          <select value={variant ?? ""} onChange={(event) => choose({ variant: event.currentTarget.value })}>
            <option value="">as it is</option>
            {variants.map((one) => (
              <option key={one.name} value={one.name} title={one.title}>
                {one.name}
              </option>
            ))}
          </select>
        </label>
      )}
      {(listed?.parameters ?? []).map((parameter) => (
        <Amount
          key={parameter.name}
          parameter={parameter}
          field={parameter.name}
          value={query[parameter.name]}
        />
      ))}
      <label>
        Beside it
        <select value={compare ?? ""} onChange={(event) => choose({ compare: event.currentTarget.value })}>
          <option value="">nothing</option>
          {compare === name || (listed?.parameters.length ?? 0) > 0 ? (
            <option value={name}>the same, set otherwise</option>
          ) : null}
          {variants.length === 0 ? null : (
            <optgroup label="Variants">
              {variants.map((one) => (
                <option key={one.name} value={one.name} title={one.title}>
                  {one.name}
                </option>
              ))}
            </optgroup>
          )}
          <optgroup label="Scenarios">
            {others.map((one) => (
              <option key={one.name} value={one.name}>
                {one.name}
              </option>
            ))}
          </optgroup>
        </select>
      </label>
      {compare === undefined
        ? null
        : besideParameters.map((parameter) => (
            <Amount
              key={parameter.name}
              parameter={parameter}
              field={`${besidePrefix}${parameter.name}`}
              value={query[`${besidePrefix}${parameter.name}`]}
              usual={query[parameter.name]}
            />
          ))}
      {compare === undefined && listed?.beside !== undefined && listed.beside !== null ? (
        <button type="button" onClick={() => choose({ compare: listed.beside! })}>
          Beside {listed.beside}
        </button>
      ) : null}
    </form>
  );
}

/** A choice after which one begins at the first step. */
function choose(values: Readonly<Record<string, string>>): void {
  const set = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, value === "" ? undefined : value]),
  );
  change({ ...set, step: undefined, at: undefined, request: undefined }, "push");
}

interface AmountProps {
  readonly parameter: Parameter;
  /** Its name in the address. */
  readonly field: string;
  readonly value: string | undefined;
  /** What stands for it where nothing is given, beside the parameter's default. */
  readonly usual?: string | undefined;
}

function Amount({ parameter, field, value, usual }: AmountProps) {
  const { name, about, from, to } = parameter;
  const help = useId();
  const shown = value ?? usual ?? String(parameter.default);
  const pending = usePendingText(shown, (typed) => choose({ [field]: typed }));
  return (
    <label title={`${about}, ${from} to ${to.toLocaleString("en")}`}>
      {field === name ? name : `${name} beside`}
      <input
        type="number"
        inputMode="numeric"
        min={from}
        max={to}
        step={1}
        {...pending}
        aria-describedby={help}
      />
      <span id={help} class="visually-hidden">
        {about}, from {from} to {to}
      </span>
    </label>
  );
}
