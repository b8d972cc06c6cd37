import { printFunction } from "../../spec/requester.ts";
import type { Processor } from "../../evidence/host/processor.ts";
import type { HostLinks } from "../host/links.ts";
import type { MapRow } from "./row.ts";

/** Entries of one remapping table. */
export interface TableBudget {
  readonly unit: string;
  /** AMD-Vi: the requesters that use it, `ssss:bb:dd.f`; VT-d: null. */
  readonly requesters: readonly string[] | null;
  /** Entries that are present. */
  readonly used: number;
  /** Entries that the kernel has given away; null where it does not say. */
  readonly allocated: number | null;
  /** Entries that it has room for. */
  readonly size: number | null;
  /** False where the source leaves out entries that may be present: `used` is a lower bound. */
  readonly complete: boolean;
}

/** Vectors of one processor. */
export interface VectorUse {
  readonly cpu: number;
  readonly used: number;
  /** All that devices may have; null where the kernel's allocator was not read. */
  readonly available: number | null;
  /** `kernel`: its allocator; `counted`: vectors of the map's rows with just this processor. */
  readonly by: "kernel" | "counted";
}

/** Vectors of one function's MSI or MSI-X capability. */
export interface MessageBudget {
  /** `ssss:bb:dd.f`. */
  readonly device: string;
  readonly driver: string | null;
  readonly kind: "msi" | "msix";
  readonly used: number;
  readonly available: number;
}

/** Interrupts of one virtual machine. */
export interface MachineBudget {
  readonly machine: string;
  readonly command: string | null;
  readonly vcpus: number;
  readonly posted: number;
  /** Bound to it, and taken by the host; null where the machine's interrupts are not known. */
  readonly remapped: number | null;
}

export interface MapBudgets {
  readonly tables: readonly TableBudget[];
  readonly processors: readonly VectorUse[];
  readonly devices: readonly MessageBudget[];
  readonly machines: readonly MachineBudget[];
}

export function budgetsOf(links: HostLinks, rows: readonly MapRow[]): MapBudgets {
  return {
    tables: tableBudgets(links),
    processors: vectorUses(links.state.processors, rows),
    devices: messageBudgets(links, rows),
    machines: machineBudgets(links, rows),
  };
}

function keyOf(unit: string, requester: number | null): string {
  return `${unit} ${requester}`;
}

function tableBudgets(links: HostLinks): TableBudget[] {
  const used = new Map<string, number>();
  for (const { unit, requester, present } of links.entries) {
    const key = keyOf(unit.name, requester);
    if (present) used.set(key, (used.get(key) ?? 0) + 1);
  }
  return links.tables.map(({ unit, requester, shared, table }) => {
    const segment = links.segmentOf(unit) ?? 0;
    return {
      unit: unit.name,
      requesters: requester === null ? null : shared.map((one) => printFunction({ segment, requester: one })),
      used: used.get(keyOf(unit.name, requester)) ?? 0,
      allocated: table.value.allocated?.size ?? null,
      size: table.value.length,
      complete: table.value.complete,
    };
  });
}

function vectorUses(processors: readonly Processor[], rows: readonly MapRow[]): VectorUse[] {
  const counted = new Map<number, Set<number>>();
  for (const { processors: targets, vector, mode, state } of rows) {
    const [cpu, ...others] = targets ?? [];
    if (cpu === undefined || others.length > 0 || vector === null || state === "reserved") continue;
    if (mode !== "remapped" && mode !== "unremapped") continue;
    const vectors = counted.get(cpu) ?? new Set();
    counted.set(cpu, vectors.add(vector));
  }
  // Where no vector is known, a zero would say that there are none.
  const told = rows.some(({ vector }) => vector !== null);
  return processors
    .filter(({ online, vectors }) => online?.value !== false && (vectors !== undefined || told))
    .map(({ cpu, vectors }) => {
      if (vectors === undefined) {
        return { cpu, used: counted.get(cpu)?.size ?? 0, available: null, by: "counted" };
      }
      const { available, allocated, managed, managedAllocated } = vectors.value;
      return {
        cpu,
        used: allocated,
        available: available + allocated + Math.max(0, managed - managedAllocated),
        by: "kernel",
      };
    });
}

function messageBudgets(links: HostLinks, rows: readonly MapRow[]): MessageBudget[] {
  const counted = new Map<string, number>();
  for (const { device, kind } of rows) {
    if (device === null || (kind !== "msi" && kind !== "msix")) continue;
    counted.set(`${device} ${kind}`, (counted.get(`${device} ${kind}`) ?? 0) + 1);
  }
  const budgets: MessageBudget[] = [];
  for (const one of links.state.devices) {
    const device = printFunction(one);
    const driver = one.driver?.value ?? null;
    for (const kind of ["msi", "msix"] as const) {
      const capability = one[kind]?.value;
      if (capability === undefined) continue;
      const listed = one.messageIrqs?.value.filter((irq) => irq.kind === kind).length;
      const used = capability.enabled ? (listed ?? counted.get(`${device} ${kind}`) ?? 0) : 0;
      budgets.push({ device, driver, kind, used, available: capability.available });
    }
  }
  return budgets;
}

function machineBudgets(links: HostLinks, rows: readonly MapRow[]): MachineBudget[] {
  const posted = new Map<string, number>();
  const remapped = new Map<string, number>();
  for (const { machine, mode, index } of rows) {
    if (machine === null) continue;
    const counts = index !== null && (mode === "posted" || mode === "guest") ? posted : remapped;
    counts.set(machine, (counts.get(machine) ?? 0) + 1);
  }
  return links.state.machines.map(({ name, command, vcpus, irqfds }) => ({
    machine: name,
    command: command?.value ?? null,
    vcpus: vcpus.length,
    posted: posted.get(name) ?? 0,
    remapped: irqfds === undefined ? null : (remapped.get(name) ?? 0),
  }));
}
