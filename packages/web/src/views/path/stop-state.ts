import { type Stop, type Touched, type WalkStep, hex, table } from "@intremap/core";
import { layoutNamed } from "../../parts/layouts.ts";

export const stopTitles: Readonly<Record<Stop, string>> = {
  device: "Device",
  bus: "Bus",
  unit: "IOMMU",
  entry: "Entry",
  apic: "Local APIC",
  descriptor: "Descriptor",
  vcpu: "vCPU",
  software: "Software",
};

/** What one stop of the diagram shows at a moment. */
export interface StopState {
  readonly stop: Stop;
  /** Empty where nothing has happened yet. */
  readonly actor: string;
  /** Name and value of the fields that matter, with a mark for those that were just written. */
  readonly fields: readonly { readonly name: string; readonly value: string; readonly written: boolean }[];
  /** What happened here last. */
  readonly title: string;
  /** Of the last step here: the number in the run. */
  readonly last: number | null;
  /** `now`: the step is here. `reached`: its interrupt was. `earlier`: one before it was, or nothing. */
  readonly phase: "now" | "reached" | "earlier";
  readonly blocked: boolean;
}

/** At which stop of the diagram a structure is shown, and which of its fields matter there. */
export const shownAt: Readonly<Record<string, readonly [Stop, readonly string[]]>> = {
  "irte-remapped": ["entry", ["p", "im", "v", "dst", "sid"]],
  "irte-posted": ["entry", ["p", "im", "vv", "urg", "sid"]],
  "amdvi-irte-32": ["entry", ["remapen", "vector", "dest"]],
  "amdvi-irte-remapped": ["entry", ["remapen", "inttype", "vector", "dest"]],
  "amdvi-irte-guest": ["entry", ["remapen", "vector", "isrun", "gatag"]],
  "posted-descriptor": ["descriptor", ["pir", "on", "sn", "nv", "ndst"]],
  "avic-physical-entry": ["descriptor", ["isrunning", "host", "v"]],
  "msi-address": ["bus", ["dst", "dm"]],
  "msi-data": ["bus", ["v", "dlm"]],
  "msi-remappable-address": ["bus", ["handle", "shv"]],
  "msi-remappable-data": ["bus", ["subhandle"]],
  "msi-amd-data": ["bus", ["index"]],
};

/** The stop at which a structure is shown; undefined for what the diagram has no place for. */
export function stopOf(touched: Touched): Stop | undefined {
  return shownAt[touched.layout]?.[0];
}

/** Vectors whose bit is set, as the documents write them; many are counted. */
function vectorsOf(pir: bigint): string {
  const set: number[] = [];
  for (let vector = 0; vector < 256; vector++) if ((pir >> BigInt(vector)) & 1n) set.push(vector);
  if (set.length === 0) return "none";
  if (set.length > 3) return `${set.length} set`;
  return set.map((vector) => `${vector.toString(16)}h`).join(" ");
}

function short(value: number | bigint): string {
  return value < 10 ? String(value) : hex(value);
}

/** The fields of a structure that matter in the diagram. */
function fieldsShown({ layout: name, value, before, fields }: Touched, now: boolean): StopState["fields"] {
  const layout = layoutNamed(name);
  if (layout === undefined) return [];
  const wanted = shownAt[name]?.[1] ?? fields;
  const rows = new Map(table(layout, value).map((row) => [row.name, row]));
  const earlier = before === null ? null : new Map(table(layout, before).map((row) => [row.name, row]));
  return wanted.flatMap((field) => {
    const row = rows.get(field);
    if (row === undefined) return [];
    const text = field === "pir" ? vectorsOf(BigInt(row.value)) : (row.meaning ?? short(row.value));
    return [
      {
        name: field,
        value: text,
        written: now && earlier !== null && earlier.get(field)?.value !== row.value,
      },
    ];
  });
}

const order: readonly Stop[] = ["device", "bus", "unit", "entry", "apic", "descriptor", "vcpu", "software"];

/** For each step and each stop: the last step that was there, and the last that touched what is shown there; -1 for none. */
interface Latest {
  readonly there: Int32Array;
  readonly touching: Int32Array;
}

const known = new WeakMap<readonly WalkStep[], Latest>();

function latestOf(steps: readonly WalkStep[]): Latest {
  const before = known.get(steps);
  if (before !== undefined) return before;
  const there = new Int32Array(steps.length * order.length);
  const touching = new Int32Array(steps.length * order.length);
  const last = { there: order.map(() => -1), touching: order.map(() => -1) };
  for (const [at, step] of steps.entries()) {
    last.there[order.indexOf(step.stop)] = at;
    for (const touched of step.touched) {
      const stop = stopOf(touched);
      if (stop !== undefined) last.touching[order.indexOf(stop)] = at;
    }
    there.set(last.there, at * order.length);
    touching.set(last.touching, at * order.length);
  }
  const latest = { there, touching };
  known.set(steps, latest);
  return latest;
}

/** What a step touched that is shown at a stop, one of each layout: a message has two halves. */
function shownOf(step: WalkStep | undefined, stop: Stop): Touched[] {
  const here = step?.touched.filter((touched) => stopOf(touched) === stop) ?? [];
  return here.filter(({ layout }, i) => here.findIndex((one) => one.layout === layout) === i);
}

/** What every stop shows when a run has come to a step. */
export function stopStates(steps: readonly WalkStep[], at: number): ReadonlyMap<Stop, StopState> {
  const current = steps[at];
  const { there, touching } = latestOf(steps);
  return new Map(
    order.map((stop, i) => {
      const found = there[at * order.length + i] ?? -1;
      const last = found < 0 ? null : found;
      const touchedAt = touching[at * order.length + i] ?? -1;
      const step = last === null ? undefined : steps[last];
      const now = current?.stop === stop;
      const same = step !== undefined && current?.request !== null && step.request === current?.request;
      const shown = shownOf(steps[touchedAt], stop);
      const state: StopState = {
        stop,
        // Of entries it counts which one it is: what is shown may be another one's that was written last.
        actor: (stop === "entry" ? shown[0]?.what : undefined) ?? step?.actor ?? "",
        fields: shown.flatMap((one) => fieldsShown(one, touchedAt === at)),
        title: step?.title ?? "",
        last,
        phase: now ? "now" : same ? "reached" : "earlier",
        blocked: (now || same) && step?.verdict === "blocked here",
      };
      return [stop, state];
    }),
  );
}
