import { type Touched, type WalkStep, hex, table } from "@intremap/core";
import { BitRow } from "../../parts/bit-row.tsx";
import { layoutNamed } from "../../parts/layouts.ts";
import { RuleNote } from "../../parts/rule-note.tsx";
import { hrefOf } from "../../state/route.ts";
import { stopTitles } from "./stop-state.ts";
import type { Telling } from "./telling.ts";
import { VerdictChip } from "../../parts/verdict.tsx";

/** Modelled time, in the unit that reads best. */
export function printTime(nanoseconds: number): string {
  if (nanoseconds < 1000) return `${Math.round(nanoseconds)} ns`;
  const [value, unit] = nanoseconds < 1e6 ? [nanoseconds / 1e3, "µs"] : [nanoseconds / 1e6, "ms"];
  return `${value.toLocaleString("en", { maximumFractionDigits: 3 })} ${unit}`;
}

interface StepPanelProps {
  readonly telling: Telling;
  /** Null before the run's first step. */
  readonly index: number | null;
  /** It is of an earlier row: this run does nothing here. */
  readonly earlier: boolean;
  /** Changes are told to those who listen. */
  readonly spoken: boolean;
}

/** One step with everything that is known about it. */
export function StepPanel({ telling, index, earlier, spoken }: StepPanelProps) {
  const { steps, name, episodes } = telling;
  const step = index === null ? undefined : steps[index];
  return (
    <section
      class={`step-panel${earlier ? " earlier" : ""}`}
      tabIndex={0}
      aria-label={name === "" ? "The step" : `The step, ${name}`}
    >
      {name === "" ? null : <h2 class="run-name">{name}</h2>}
      {earlier ? <p class="aside">Nothing at this moment. Before:</p> : null}
      {step === undefined ? (
        <p class="aside">Nothing yet.</p>
      ) : (
        <>
          <div aria-live={spoken ? "polite" : "off"}>
            <p class="step-where">
              <span class={`stop-tag ${step.stop}`}>{stopTitles[step.stop]}</span> {step.actor}
              {telling.timed ? <span class="aside">{printTime(step.at)}</span> : null}
              {step.request === null ? null : <Interrupt telling={telling} request={step.request} />}
            </p>
            <h3>
              {step.title}
              {step.verdict === null ? null : <VerdictChip verdict={step.verdict} />}
            </h3>
            {step.detail === "" ? null : <p>{step.detail}</p>}
          </div>
          {step.rule === null ? (
            step.section === null ? null : (
              <p class="section">{step.section}</p>
            )
          ) : (
            <RuleNote key={step.rule} id={step.rule} />
          )}
          {step.touched.map((touched, i) => (
            <TouchedStructure key={`${touched.what}${i}`} touched={touched} />
          ))}
          <Calls step={step} />
          <p class="aside episode">{episodes[step.episode]?.what}</p>
        </>
      )}
    </section>
  );
}

/** Which interrupt it is, with a way to it on the timeline. */
function Interrupt({
  telling: { timeline },
  request,
}: {
  readonly telling: Telling;
  readonly request: number;
}) {
  const text = `interrupt ${request.toLocaleString("en")}`;
  if (timeline === null) return <span class="aside">{text}</span>;
  return (
    <a
      class="aside"
      href={hrefOf("timeline", { ...timeline, request: String(request) })}
      title="On the timeline"
    >
      {text}
    </a>
  );
}

/** A structure with the bits that were read or written. */
function TouchedStructure({ touched }: { readonly touched: Touched }) {
  const { what, layout: name, before, value, fields } = touched;
  const layout = layoutNamed(name);
  if (layout === undefined) {
    return (
      <p>
        {what} <code>{hex(value)}</code>
      </p>
    );
  }
  const rows = table(layout, value);
  const earlier = before === null ? null : table(layout, before);
  const changed = rows
    .filter((row, i) => earlier !== null && earlier[i]!.value !== row.value)
    .map((row) => row.name);
  const marked = fields.length > 0 ? fields : changed;
  const told = rows
    .map((row, i) => ({ row, before: earlier?.[i] }))
    .filter(({ row }) => marked.includes(row.name) || changed.includes(row.name));
  const digits = value.toString(16).padStart(layout.width / 4, "0");
  return (
    <figure class="touched">
      <figcaption>
        <span class={before === null ? "read" : "written"}>{before === null ? "read" : "written"}</span>{" "}
        {what}
        <a href={hrefOf("bits", { layout: name, value: digits })}>{layout.title}</a>
      </figcaption>
      <BitRow layout={layout} value={value} before={before} marked={marked} lines="marked" />
      {told.length === 0 ? null : (
        <table>
          <tbody>
            {told.map(({ row, before: old }) => (
              <tr key={row.name}>
                <th scope="row" title={row.title}>
                  <code>{row.name}</code>
                </th>
                <td>{row.title}</td>
                <td>
                  {old === undefined || old.value === row.value ? null : (
                    <>
                      <code class="old">{hex(old.value)}</code> →{" "}
                    </>
                  )}
                  <code>{hex(row.value)}</code>
                  {row.meaning === undefined ? "" : ` ${row.meaning}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </figure>
  );
}

/** The calls of the thread at that moment, innermost first. */
function Calls({ step: { thread, stack } }: { readonly step: WalkStep }) {
  if (thread === null) return null;
  return (
    <div class="calls">
      <h4>{thread}</h4>
      {stack.length === 0 ? null : (
        <ol>
          {stack.map((frame) => (
            <li>
              <code>{frame}</code>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
