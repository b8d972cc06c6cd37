import type { PastedValue } from "@intremap/core";
import type { Recognised } from "../../engine/tasks/recognise.ts";
import type { Pasted } from "../../state/paste.ts";
import { openAndShow } from "../../state/host.ts";
import { go, hrefOf } from "../../state/route.ts";
import { openTrace } from "../../state/timeline.ts";

/** A view in which what was given can be looked at. */
export interface Destination {
  readonly view: "bits" | "path" | "machine" | "timeline";
  /** What one does there. */
  readonly label: string;
  readonly open: () => void;
}

type Place = Pick<PastedValue, "kind" | "value" | "index">;

function bitsQuery({ kind, value, index }: Place): Record<string, string> {
  return { kind, value, ...(index !== null && { index: String(index) }) };
}

export function bitsHref(place: Place): string {
  return hrefOf("bits", bitsQuery(place));
}

function openMachine(given: Pasted): void {
  openAndShow(
    given.kind === "text"
      ? { name: "pasted text", text: given.text }
      : { name: given.file.name, files: [given.file] },
  );
}

/** @param alike another one is of the same kind. */
function inBits(value: PastedValue, alike: boolean): Destination {
  return {
    view: "bits",
    label: `Open the ${value.kind}${alike ? ` of line ${value.line}` : ""} in Bits`,
    open: () => go("bits", bitsQuery(value)),
  };
}

function eachInBits(values: readonly PastedValue[]): Destination[] {
  return values.map((value) =>
    inBits(
      value,
      values.some((other) => other !== value && other.kind === value.kind),
    ),
  );
}

/** An entry and a message that stand together are one request. */
function inPath(values: readonly PastedValue[]): Destination[] {
  const message = values.find(({ kind }) => kind === "msi");
  const entry = values.find(({ kind }) => kind === "irte" || kind === "amd-irte");
  if (message === undefined || entry === undefined || values.length > 2) return [];
  return [
    {
      view: "path",
      label: "Send the message to the entry in Path",
      open: () => go("path", { [entry.kind]: entry.value, msi: message.value }),
    },
  ];
}

/** Where what was given is best looked at, the best first; none where this view says all there is. */
export function destinationsOf(given: Pasted, { kind, text }: Recognised): Destination[] {
  const machine = (label: string): Destination => ({
    view: "machine",
    label,
    open: () => openMachine(given),
  });
  if (kind === "memory") return [machine("Open the dump in Machine")];
  if (kind === "archive") return [machine("Open the archive in Machine")];
  if (text === null) return [];
  if (kind === "trace") {
    const timeline: Destination = {
      view: "timeline",
      label: "Open the trace in Timeline",
      open: () =>
        given.kind === "text"
          ? openTrace("pasted trace", given.text)
          : openTrace(given.file.name, given.file),
    };
    const few = text.values.length === 1 ? eachInBits(text.values) : [];
    return [...few, ...inPath(text.values), timeline, machine("Open its tables in Machine")];
  }
  const { host, values } = text;
  const list: Destination[] = [...inPath(values)];
  if (values.length > 0 && values.length <= 2) list.push(...eachInBits(values));
  // A single row is an entry; several are a machine.
  if (host !== null) {
    const open = machine("Open in Machine");
    if (host.entries + host.interrupts + host.devices > 2) list.unshift(open);
    else list.push(open);
  }
  return list;
}
