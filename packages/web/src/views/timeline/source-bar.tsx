import { useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import { go } from "../../state/route.ts";
import { scenarioTitles } from "../../state/scenario-titles.ts";
import { type TimelineSource, openTrace } from "../../state/timeline.ts";

/** Chooses what a timeline is recorded of: a scenario with its parameters, or a trace. */
export function SourceBar({ source }: { readonly source: TimelineSource | null }) {
  const engine = useEngine();
  const chosen = source?.kind === "scenario" ? source : null;
  const listed = useTask(engine, "listScenario", chosen?.scenario ?? null, chosen?.scenario ?? "");
  const known = listed.state === "done" ? listed.result : null;
  const [edited, setEdited] = useState<Readonly<Record<string, string>>>({});
  const recordAgain = (event: SubmitEvent): void => {
    event.preventDefault();
    if (chosen === null || known === null) return;
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const query: Record<string, string> = { scenario: chosen.scenario };
    for (const [key, value] of form) if (typeof value === "string" && value !== "") query[key] = value;
    setEdited({});
    go("timeline", query);
  };
  return (
    <form class="source-bar" onSubmit={recordAgain} key={chosen?.scenario ?? ""}>
      <label>
        Scenario{" "}
        <select
          value={chosen?.scenario ?? ""}
          onChange={({ currentTarget: { value } }) => {
            setEdited({});
            if (value !== "") go("timeline", { scenario: value });
          }}
        >
          {chosen === null ? <option value="">choose…</option> : null}
          {scenarioTitles.map(({ name, title }) => (
            <option key={name} value={name} title={title}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {known === null || known.variants.length === 0 ? null : (
        <label>
          Variant{" "}
          <select name="variant" defaultValue={chosen?.variant ?? ""}>
            <option value="">as it stands</option>
            {known.variants.map(({ name, title }) => (
              <option key={name} value={name} title={title} selected={name === chosen?.variant}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      {known?.parameters.map(({ name, default: usual, from, to, about }) => (
        <label key={name} title={about}>
          {name}{" "}
          <input
            name={name}
            type="number"
            min={from}
            max={to}
            required
            value={edited[name] ?? `${chosen?.values[name] ?? usual}`}
            onInput={({ currentTarget: { value } }) => setEdited({ ...edited, [name]: value })}
          />
        </label>
      ))}
      {known === null || known.parameters.length + known.variants.length === 0 ? null : (
        <button type="submit">Record</button>
      )}
      <span class="or">or</span>
      <TraceChooser label="Open a QEMU trace…" />
    </form>
  );
}

/** Opens a trace from a file. */
export function TraceChooser({ label }: { readonly label: string }) {
  return (
    <label class="file-button">
      {label}
      <input
        type="file"
        class="visually-hidden"
        onChange={({ currentTarget }) => {
          const file = currentTarget.files?.[0];
          if (file !== undefined) openTrace(file.name, file);
          currentTarget.value = "";
        }}
      />
    </label>
  );
}
