import { type MapRow, type NameStyle, mapColumns } from "@intremap/core";
import type { columnKinds } from "./column-kinds.ts";
import { subjectOf } from "./subject-of.ts";

export interface GraphNode {
  readonly id: string;
  readonly kind: (typeof columnKinds)[number];
  readonly title: string;
  readonly detail: string;
  /** Interrupts that go through it. */
  readonly count: number;
  /** How they are translated, where that is the same for all. */
  readonly mode: MapRow["mode"] | "mixed";
  /** What `follow` takes for it. */
  readonly subject: string | null;
  /** Terms by which the table shows just these interrupts. */
  readonly filter: string;
  /** How many nodes stand in this one; 1 for a single one. */
  readonly holds: number;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

export interface HostGraph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** Which nodes interrupts go through, one of each column: places in `nodes`. */
  readonly ways: readonly (readonly number[])[];
}

/** More nodes than these in a column are drawn together, unless they were opened. */
const most = { device: 24, unit: 24, entry: 28, target: 32 } as const;
/** More groups than these: those with the fewest interrupts are drawn as one. */
const mostGroups = 40;
/** More nodes than these are not drawn singly where a node was opened. */
const atAll = 96;

interface Place {
  readonly id: string;
  readonly group: string;
  readonly title: string;
  readonly groupTitle: (members: number) => string;
  readonly detail: string;
  readonly groupDetail: string;
  readonly filter: string;
  readonly groupFilter: string;
  readonly subject: string | null;
}

/**
 * Which devices' interrupts go through which units and entries to which processors.
 * @param opened ids of nodes that hold several: what they hold is drawn instead.
 */
export function hostGraph(rows: readonly MapRow[], style: NameStyle, opened: readonly string[]): HostGraph {
  const used = rows.filter(({ state }) => state !== "unused");
  const open = new Set(opened);
  const devices = drawn(
    "device",
    used.map((row) => devicePlace(row, style)),
    used,
    open,
  );
  // What is drawn as one device has its entries drawn as one.
  const entries = used.map((row, at) => {
    const place = entryPlace(row, style);
    return { ...place, group: `${devices.of[at]!} ${place.group}` };
  });
  const columns = [
    devices,
    drawn("unit", used.map(unitPlace), used, open),
    drawn("entry", entries, used, open),
    drawn(
      "target",
      used.map((row) => targetPlace(row, style)),
      used,
      open,
    ),
  ];
  const nodes = columns.flatMap((column) => column.nodes);
  const places = new Map(nodes.map(({ id }, at) => [id, at]));
  const edges = new Map<string, GraphEdge & { count: number }>();
  const ways = new Map<string, readonly number[]>();
  for (let row = 0; row < used.length; row++) {
    const way = columns.map(({ of }) => places.get(of[row]!)!);
    ways.set(way.join(), way);
    for (let column = 1; column < columns.length; column++) {
      const [from, to] = [columns[column - 1]!.of[row]!, columns[column]!.of[row]!];
      const edge = edges.get(`${from}\n${to}`);
      if (edge === undefined) edges.set(`${from}\n${to}`, { from, to, count: 1 });
      else edge.count++;
    }
  }
  return { nodes, edges: [...edges.values()], ways: [...ways.values()] };
}

interface Drawn {
  readonly nodes: GraphNode[];
  /** For each row the id of its node. */
  readonly of: readonly string[];
}

function drawn(
  kind: GraphNode["kind"],
  places: readonly Place[],
  rows: readonly MapRow[],
  opened: ReadonlySet<string>,
): Drawn {
  const members = new Map<string, Set<string>>();
  for (const { id, group } of places) members.set(group, (members.get(group) ?? new Set()).add(id));
  const together = new Set(places.map(({ id }) => id)).size > most[kind];
  const small = together ? smallGroups(places) : new Set<string>();
  const room = Math.max(1, Math.floor(atAll / Math.max(1, opened.size)));
  const nodes = new Map<string, GraphNode & { count: number; mode: GraphNode["mode"] }>();
  const singled = new Map<string, Set<string>>();
  const of = rows.map(({ mode }, row) => {
    const one = places[row]!;
    const groupId = `${kind} ${one.group}`;
    const holds = members.get(one.group)!.size;
    const pooled = small.has(one.group);
    const id = !together
      ? `${kind} ${one.id}`
      : pooled
        ? kind
        : holds === 1 || (opened.has(groupId) && takes(singled, groupId, one.id, room))
          ? `${kind} ${one.id}`
          : groupId;
    const known = nodes.get(id);
    if (known !== undefined) {
      known.count++;
      if (known.mode !== mode) known.mode = "mixed";
      return id;
    }
    const shown = pooled ? aboutPooled(small.size) : about(one, id === groupId ? holds : 1);
    nodes.set(id, { id, kind, count: 1, mode, ...shown });
    return id;
  });
  return { nodes: [...nodes.values()], of };
}

type About = Pick<GraphNode, "title" | "detail" | "subject" | "filter" | "holds">;

/** The groups that are too many, in one node. */
function aboutPooled(groups: number): About {
  return { title: `${groups.toLocaleString("en")} others`, detail: "", subject: null, filter: "", holds: 1 };
}

/** One thing, or a group. */
function about(one: Place, holds: number): About {
  const { title, detail, filter, subject, groupTitle, groupDetail, groupFilter } = one;
  return holds > 1
    ? { title: groupTitle(holds), detail: groupDetail, subject: null, filter: groupFilter, holds }
    : { title, detail, subject, filter, holds };
}

/** The groups past those with the most interrupts. */
function smallGroups(places: readonly Place[]): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const { group } of places) counts.set(group, (counts.get(group) ?? 0) + 1);
  if (counts.size <= mostGroups) return new Set();
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return new Set(sorted.slice(mostGroups - 1).map(([group]) => group));
}

/** Whether one of a group is still drawn by itself. */
function takes(singled: Map<string, Set<string>>, group: string, id: string, room: number): boolean {
  const own = singled.get(group) ?? new Set();
  singled.set(group, own);
  if (!own.has(id) && own.size >= room) return false;
  own.add(id);
  return true;
}

function term(column: string, value: string): string {
  return /^[\w:.()-]+$/.test(value) ? `${column}:${value}` : `${column}:"${value.replaceAll('"', "")}"`;
}

function devicePlace(row: MapRow, style: NameStyle): Place {
  const name = mapColumns.device.cell(row, style) || "not known";
  const driver = row.driver ?? (row.kind === "msi" || row.kind === "msix" ? "no driver" : (row.kind ?? ""));
  const bus = /^\(?((?:[0-9a-f]+:)?[0-9a-f]{2}):/.exec(name)?.[1] ?? "";
  const group = row.driver ?? (bus === "" ? driver : `bus ${bus}`);
  const filter = name === "not known" ? "" : term("device", name);
  return {
    id: name,
    group,
    title: name,
    groupTitle: (members) => `${group}: ${members.toLocaleString("en")} devices`,
    detail: driver,
    groupDetail: "",
    filter,
    groupFilter: row.driver === null ? "" : term("driver", row.driver),
    subject: null,
  };
}

function unitPlace({ unit, mode }: MapRow): Place {
  const direct = mode === "unremapped";
  const name = direct ? "not remapped" : (unit ?? "unit not known");
  const filter = direct ? "mode:unremapped" : unit === null ? "" : term("unit", unit);
  return {
    id: name,
    group: name,
    title: name,
    groupTitle: () => name,
    detail: direct ? "names its own CPU" : "",
    groupDetail: "",
    filter,
    groupFilter: filter,
    subject: null,
  };
}

function entryPlace(row: MapRow, style: NameStyle): Place {
  const { unit, index, mode, irq, vector } = row;
  const device = mapColumns.device.cell(row, style) || "not known";
  const subject = subjectOf(row);
  const what = mode ?? "entry not known";
  const group = [unit ?? "", what, ...(index === null ? ["irqs"] : [])].join(" ");
  const filter = [
    device === "not known" ? "" : term("device", device),
    mode === null ? "" : `mode:${mode}`,
    unit === null ? "" : term("unit", unit),
  ];
  const number = index === null ? (irq === null ? "no entry" : `irq ${irq}`) : `${index}`;
  return {
    id: subject ?? `${device} ${group} ${number}`,
    group,
    title: number,
    groupTitle: (members) => `${members.toLocaleString("en")} ${index === null ? "irqs" : "entries"}`,
    detail: [what, vector === null ? "" : mapColumns.vector.cell(row, style)].join(" ").trim(),
    groupDetail: what,
    filter:
      index === null ? (irq === null ? "" : `irq:${irq}`) : `${term("unit", unit ?? "")} index:${index}`,
    groupFilter: filter.filter((one) => one !== "").join(" "),
    subject,
  };
}

const block = 16;

function targetPlace(row: MapRow, style: NameStyle): Place {
  const to = mapColumns.to.cell(row, style) || "not known";
  const [cpu, ...others] = row.processors ?? [];
  let group = "several CPUs";
  if (row.vcpu !== null) group = `vm ${row.machine}`;
  else if (cpu !== undefined && others.length === 0) {
    const from = Math.floor(cpu / block) * block;
    group = `CPUs ${from}-${from + block - 1}`;
  } else if (cpu === undefined) group = to === "not known" ? to : "other CPUs";
  return {
    id: to,
    group,
    title: row.vcpu === null ? to.replace(/^cpu /, "CPU ") : `vCPU ${row.vcpu}`,
    groupTitle: (members) => `${group} (${members})`,
    detail: row.vcpu === null ? "" : `vm ${row.machine}`,
    groupDetail: "",
    filter: to === "not known" ? "" : term("to", to),
    groupFilter: row.vcpu === null ? "" : term("vm", row.machine ?? ""),
    subject: null,
  };
}
