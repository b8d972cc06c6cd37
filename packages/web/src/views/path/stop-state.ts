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
const shownAt: Readonly<Record<string, readonly [Stop, readonly string[]]>> = {
  "irte-remapped": ["entry", ["p", "im", "v", "dst", "sid"]],
  "irte-posted": ["entry", ["p", "im", "vv", "urg", "sid"]],
  "amdvi-irte-32": ["entry", ["remapen", "vector", "dest"]],
  "amdvi-irte-remapped": ["entry", ["remapen", "guestmode", "vector", "dest"]],
  "amdvi-irte-guest": ["entry", ["remapen", "guestmode", "vector", "isrun", "tag"]],
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

/** What every stop shows when a run has come to a step. */
export function stopStates(steps: readonly WalkStep[], at: number): ReadonlyMap<Stop, StopState> {
  const current = steps[at];
  const latest = new Map<Stop, number>();
  const held = new Map<Stop, Map<string, { touched: Touched; at: number }>>();
  // Looking back far enough: a structure that was not touched for so long does not matter to this interrupt.
  const from = Math.max(0, at - 5000);
  for (let i = at; i >= from; i--) {
    const step = steps[i]!;
    if (!latest.has(step.stop)) latest.set(step.stop, i);
    for (const touched of step.touched) {
      const stop = stopOf(touched);
      if (stop === undefined) continue;
      const here = held.get(stop) ?? new Map<string, { touched: Touched; at: number }>();
      held.set(stop, here);
      if (!here.has(touched.layout)) here.set(touched.layout, { touched, at: i });
    }
  }
  return new Map(
    order.map((stop) => {
      const last = latest.get(stop) ?? null;
      const step = last === null ? undefined : steps[last];
      const now = current?.stop === stop;
      const same = step !== undefined && current?.request !== null && step.request === current?.request;
      // A message has two halves; of an entry's and a descriptor's forms the last one counts.
      const structures = [...(held.get(stop)?.values() ?? [])].sort((a, b) => b.at - a.at);
      const shown = structures.filter((one) => one.at === structures[0]!.at);
      const state: StopState = {
        stop,
        actor: step?.actor ?? "",
        fields: shown.flatMap((one) => fieldsShown(one.touched, one.at === at)),
        title: step?.title ?? "",
        last,
        phase: now ? "now" : same ? "reached" : "earlier",
        blocked: (now || same) && step?.verdict === "blocked here",
      };
      return [stop, state];
    }),
  );
}
