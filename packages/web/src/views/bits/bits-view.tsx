import { type Context, type Naming, fieldsOf, kindNames } from "@intremap/core";
import { useMemo, useState } from "preact/hooks";
import { BitRow } from "../../parts/bit-row.tsx";
import { layoutGroups } from "../../parts/layouts.ts";
import { Notice } from "../../parts/notice.tsx";
import { change, route } from "../../state/route.ts";
import { CopyPanel } from "./copy-panel.tsx";
import { FieldTable } from "./field-table.tsx";
import { samples } from "../../parts/samples.ts";
import { SettingChoice } from "./setting-choice.tsx";
import {
  type Subject,
  type SubjectChoice,
  type SubjectPart,
  contextIn,
  kindOfLayout,
  readSubject,
  settings,
  settingsOf,
  textWith,
} from "../../parts/subject.ts";
import { TrialPanel } from "./trial-panel.tsx";
import { ValueBox } from "./value-box.tsx";
import { Verdict } from "./verdict.tsx";

const kindTitles: Readonly<Record<keyof typeof samples, string>> = {
  irte: "VT-d interrupt remapping table entry",
  "amd-irte": "AMD-Vi interrupt table entry",
  dte: "AMD-Vi device table entry",
  pid: "posted interrupt descriptor",
  msi: "MSI address and data",
  "ioapic-rte": "I/O APIC redirection entry",
  iec: "VT-d invalidation descriptor",
  frcd: "VT-d fault record",
  irta: "VT-d table address register",
  cap: "VT-d capability register",
  ecap: "VT-d extended capability register",
};

type Read = { readonly subject: Subject } | { readonly wrong: string };

function tried(choice: SubjectChoice, context: Context): Read {
  try {
    return { subject: readSubject(choice, context) };
  } catch (error) {
    return { wrong: (error as Error).message };
  }
}

/** Whether there is such a kind or layout, whatever is wrong with its value. */
function canBeRead({ kind, layout }: SubjectChoice): boolean {
  return "subject" in tried({ kind, layout }, {});
}

/** @param id `kind:irte`, `layout:vtd-global-status`. Bits and requests of another layout say nothing there. */
function choose(id: string): void {
  const [how, name] = id.split(":") as ["kind" | "layout", string];
  const gone = "kind layout value entry msi sid profile cfi pid dte index lines".split(" ");
  change({ ...Object.fromEntries(gone.map((one) => [one, undefined])), [how]: name }, "push");
}

function LayoutChoice({ chosen }: { readonly chosen: string }) {
  return (
    <label>
      Layout
      <select value={chosen} onChange={({ currentTarget }) => choose(currentTarget.value)}>
        <optgroup label="As the command decode takes them">
          {kindNames().map((kind) => (
            <option key={kind} value={`kind:${kind}`}>
              {kind} — {kindTitles[kind]}
            </option>
          ))}
        </optgroup>
        {layoutGroups.map(({ title, layouts }) => (
          <optgroup key={title} label={title}>
            {layouts
              .filter(({ name }) => !Object.hasOwn(kindOfLayout, name))
              .map(({ name, title }) => (
                <option key={name} value={`layout:${name}`}>
                  {title} ({name})
                </option>
              ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

export function BitsView() {
  const { query } = route.value;
  const naming: Naming = query["names"] === "linux" ? "linux" : "spec";
  const key = JSON.stringify(query);
  const context = useMemo(() => contextIn(query), [key]);
  const read = useMemo(() => tried(query, context), [key]);
  const kind = "subject" in read ? read.subject.kind : (query["kind"] ?? "irte");
  const sound = canBeRead(query) ? {} : { kind: undefined, layout: undefined };
  const chosen =
    kind === null || (query["layout"] !== undefined && "wrong" in read)
      ? `layout:${query["layout"]}`
      : `kind:${kind}`;
  return (
    <div class="bits-view">
      <div class="bits-head">
        <h1>Bits</h1>
        <LayoutChoice chosen={chosen} />
        <label>
          Names
          <select
            value={naming}
            onChange={({ currentTarget }) =>
              change({ names: currentTarget.value === "linux" ? "linux" : undefined }, "push")
            }
          >
            <option value="spec">of the specification</option>
            <option value="linux">of Linux</option>
          </select>
        </label>
      </div>
      {"wrong" in read ? (
        <Notice kind="error" title="These bits cannot be read">
          {read.wrong}.{" "}
          <button type="button" onClick={() => change({ value: undefined, ...sound }, "push")}>
            Start from a sound value
          </button>
        </Notice>
      ) : (
        <Editor key={chosen} subject={read.subject} naming={naming} context={context} />
      )}
    </div>
  );
}

function markedIn({ word, layout }: SubjectPart, selected: string | null): string[] {
  return fieldsOf(layout)
    .map(([name]) => name)
    .filter((name) => selected === `${word}.${name}`);
}

/** Layouts up to this many bits are shown whole. */
const shortBits = 128;

interface EditorProps {
  readonly subject: Subject;
  readonly naming: Naming;
  readonly context: Context;
}

function Editor({ subject, naming, context }: EditorProps) {
  const [selected, select] = useState<string | null>(null);
  const own = subject.kind === null ? {} : { kind: subject.kind, layout: undefined };
  const edit = (part: SubjectPart, value: bigint, how: "push" | "replace"): void =>
    change({ ...own, value: textWith(subject, part, value) }, how);
  const type = (text: string): string | null => {
    const typed = tried({ ...route.value.query, ...own, value: text }, context);
    if ("wrong" in typed) return typed.wrong;
    change({ ...own, value: typed.subject.text }, "replace");
    return null;
  };
  const open = settingsOf(subject.parts);
  const all =
    route.value.query["lines"] === "all" || subject.parts.every(({ layout }) => layout.width <= shortBits);
  return (
    <>
      <div class="bits-value">
        <ValueBox text={subject.text} takes={subject.takes} onText={type} />
        {settings
          .filter((name) => open.includes(name) || context[name] !== undefined)
          .map((name) => (
            <SettingChoice key={name} name={name} value={context[name]} />
          ))}
      </div>
      <h2 class="bits-title">
        {subject.title}
        {subject.mode !== null && !subject.title.includes(subject.mode) ? ` (${subject.mode})` : ""}{" "}
        <small>
          {subject.section}, {subject.parts.reduce((sum, { layout }) => sum + layout.width, 0)} bits
        </small>
      </h2>
      {subject.parts.map((part) => (
        <section key={part.word} class="bits-part" onPointerLeave={() => select(null)}>
          {part.label === null ? null : (
            <h3>
              {part.label} <small>{part.layout.title}</small>
            </h3>
          )}
          <BitRow
            layout={part.layout}
            value={part.value}
            naming={naming}
            lines={all ? "all" : "telling"}
            marked={markedIn(part, selected)}
            label={part.label === null ? part.layout.title : `${part.label}: ${part.layout.title}`}
            onChange={(value) => edit(part, value, "push")}
            onSelect={(name) => select(name === null ? null : `${part.word}.${name}`)}
          />
        </section>
      ))}
      {subject.parts.some(({ layout }) => layout.width > shortBits) ? (
        <p>
          <button
            type="button"
            aria-pressed={all}
            onClick={() => change({ lines: all ? undefined : "all" }, "push")}
          >
            Every bit
          </button>{" "}
          {all ? null : <span class="hint">Lines of zeros inside a wide field are left out.</span>}
        </p>
      ) : null}
      <div class="bits-below">
        <div class="bits-fields">
          <FieldTable subject={subject} selected={selected} onSelect={select} onEdit={edit} />
        </div>
        <div class="bits-side">
          <Verdict subject={subject} />
          <TrialPanel subject={subject} context={context} />
          <CopyPanel subject={subject} naming={naming} context={context} />
        </div>
      </div>
    </>
  );
}
