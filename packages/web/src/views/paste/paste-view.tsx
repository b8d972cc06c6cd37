import { useEffect, useMemo, useState } from "preact/hooks";
import { useEngine, useTask } from "../../engine/use-task.ts";
import type { Recognised } from "../../engine/tasks/recognise.ts";
import { CopyButton } from "../../parts/copy-button.tsx";
import { Notice } from "../../parts/notice.tsx";
import { SaveFile } from "../../parts/save-file.tsx";
import { Waiting } from "../../parts/waiting.tsx";
import { type Pasted, pasted, pastedFrom, queryOfPasted } from "../../state/paste.ts";
import { change, hrefOf, route } from "../../state/route.ts";
import { destinationsOf } from "./destinations.ts";
import { examples } from "./examples.ts";
import { FindingsList } from "./findings-list.tsx";
import { FirmwareTable } from "./firmware-table.tsx";
import { PasteBox, heldAs } from "./paste-box.tsx";
import { many } from "../../parts/words.ts";
import { saidOf } from "./said.ts";
import { ValuesTable } from "./values-table.tsx";

let files = 0;
const numbers = new WeakMap<File, number>();

/** Tells one input from another. */
function keyOf(given: Pasted | null): string {
  if (given === null) return "";
  if (given.kind === "text") return given.text;
  const number = numbers.get(given.file) ?? ++files;
  numbers.set(given.file, number);
  return `\0file ${number}`;
}

export function PasteView() {
  const { query } = route.value;
  const kept = pasted.value;
  const given = useMemo(() => pastedFrom(query), [query["text"], query["file"], query["size"], kept]);
  const absent = given === null && (query["file"] !== undefined || query["size"] !== undefined);
  const engine = useEngine();
  const input = given === null ? null : given.kind === "file" ? { file: given.file } : { text: given.text };
  const [attempt, setAttempt] = useState(0);
  const task = useTask(engine, "recognise", input, `${attempt} ${keyOf(given)}`);
  const take = (next: Pasted | null, typed: boolean): void => {
    if (task.state === "running") {
      // What is still being read is not wanted any more.
      engine.stop();
      setAttempt(attempt + 1);
    } else if (task.state === "failed") setAttempt(attempt + 1);
    pasted.value = next;
    change(queryOfPasted(next), typed ? "replace" : "push");
  };
  const found = task.state === "done" && given !== null ? task.result : null;
  const places = found === null || given === null ? [] : destinationsOf(given, found);
  /** The text whose first place is to be opened as soon as it is known. */
  const [wanted, setWanted] = useState<string | null>(null);
  useEffect(() => {
    if (wanted === null || found === null) return;
    setWanted(null);
    if (given?.kind === "text" && given.text === wanted) places[0]?.open();
  }, [wanted, found]);
  return (
    <div class="paste-view">
      <h1>Paste</h1>
      <p class="lead">
        Anything that a machine printed about its interrupts: what it is, what it says, and where to look at
        it.
      </p>
      {absent ? (
        <Notice kind="info" title={`${query["file"] ?? "A long text"} was open here`}>
          {many(Number(query["size"]) || 0, query["file"] === undefined ? "character" : "byte")}; an address
          cannot hold that much, and nothing was sent anywhere. Give it again to go on.
        </Notice>
      ) : null}
      <PasteBox given={given} onGiven={take} onOpen={setWanted} />
      {given === null ? <Examples /> : null}
      {task.state === "running" ? (
        <Waiting title="Looking at it" progress={task.progress} stop={task.stop} />
      ) : null}
      {task.state === "failed" && given !== null ? (
        <Notice kind="error" title={task.message === "stopped" ? "Stopped" : "This cannot be read"}>
          {task.message === "stopped" ? "Change it, or give it again." : task.message}
        </Notice>
      ) : null}
      {found !== null && given !== null ? <Found given={given} found={found} places={places} /> : null}
    </div>
  );
}

function Examples() {
  return (
    <section class="examples">
      <h2>For example</h2>
      <dl>
        {examples.map(({ title, text }) => (
          <div key={title}>
            <dt>
              <a href={hrefOf("paste", { text })}>{title}</a>
            </dt>
            <dd class="mono">{text.trim().split("\n")[0]}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

interface FoundProps {
  readonly given: Pasted;
  readonly found: Recognised;
  readonly places: ReturnType<typeof destinationsOf>;
}

function Found({ given, found, places }: FoundProps) {
  const said = saidOf(found);
  if (said.length === 0) {
    return (
      <Notice kind="empty" title="Nothing in it is known">
        Fault lines of DMAR and AMD-Vi (Linux or Xen), warnings of QEMU, rows of debugfs, lspci, entries and
        messages in hexadecimal, dumps of DMAR and IVRS, QEMU traces, archives and dumps of a machine are.
      </Notice>
    );
  }
  const { text, table } = found;
  const tables = [...(table === null ? [] : [table]), ...(text?.tables ?? [])];
  const understood = text !== null && text.explanation.understood > 0;
  const json = (): string => JSON.stringify({ schema: "intremap/explain/1", ...text!.explanation }, null, 2);
  return (
    <div class="found">
      <section class="recognised" role="status" aria-label="What it is">
        <h2>This is {said.join("; ")}</h2>
        <p class="buttons">
          {places.map(({ label, open }, i) => (
            <button key={i} type="button" class={i === 0 ? "primary" : undefined} onClick={open}>
              {label}
            </button>
          ))}
          {places.length > 0 && heldAs(given) === null ? (
            <span class="faint">Ctrl Enter in the box opens the first.</span>
          ) : null}
        </p>
      </section>
      {understood ? <FindingsList explanation={text.explanation} /> : null}
      {tables.map((one) => (
        <FirmwareTable key={`${one.signature} ${one.line}`} pasted={one} />
      ))}
      {text === null ? null : (
        <ValuesTable values={text.values} omitted={text.valuesOmitted} whole={text.valuesWhole} />
      )}
      <p class="buttons">
        {understood ? <CopyButton label="Copy what explain --json prints" text={json} /> : null}
        {given.kind === "text" && queryOfPasted(given).text === undefined ? (
          <SaveFile
            label="Save the text: it is too long for a link"
            name="pasted.txt"
            content={() => given.text}
          />
        ) : null}
      </p>
    </div>
  );
}
