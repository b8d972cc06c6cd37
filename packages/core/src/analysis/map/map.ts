import { printFunction } from "../../spec/requester.ts";
import type { Fact, Missing, Origin } from "../../evidence/host/fact.ts";
import type { LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { HostState } from "../../evidence/host/state.ts";
import type { HostEntry } from "../host/entry.ts";
import { HostLinks } from "../host/links.ts";
import { type MapBudgets, budgetsOf } from "./budgets.ts";
import { directPart } from "./direct-part.ts";
import { deviceBehind, entryPart } from "./entry-part.ts";
import { gapsOf } from "./gaps.ts";
import { interruptPart } from "./interrupt-part.ts";
import { type MapRow, type RowState, blankRow } from "./row.ts";
import { type MapTotals, totalsOf } from "./totals.ts";

/** Every interrupt of a host, ready for JSON. */
export interface HostMap {
  readonly source: string;
  readonly release: string | null;
  /** Rows with an entry by unit, table and index, then the others by irq. */
  readonly interrupts: readonly MapRow[];
  readonly totals: MapTotals;
  readonly budgets: MapBudgets;
  readonly missing: readonly Missing[];
}

/** The vector that stands in an entry while nobody has requested the interrupt. */
const reservedVector = 0xef;

/** Puts together what a host's state says of each interrupt. */
export function mapOf(state: HostState, links: HostLinks = new HostLinks(state)): HostMap {
  const guests = machinesByIrq(state);
  const shown = new Set<LinuxInterrupt>();
  const rows = links.entries
    .filter(({ present }) => present)
    .map((entry) => {
      const [interrupt] = links.interruptsOf(entry);
      if (interrupt !== undefined) shown.add(interrupt);
      return entryRow(links, entry, interrupt, guests);
    });
  for (const interrupt of state.interrupts) {
    if (!shown.has(interrupt)) rows.push(interruptRow(links, interrupt, guests));
  }
  return {
    source: state.source,
    release: state.system.release?.value ?? null,
    interrupts: rows,
    totals: totalsOf(rows),
    budgets: budgetsOf(links, rows),
    missing: [...state.missing, ...gapsOf(links, rows)],
  };
}

function entryRow(
  links: HostLinks,
  entry: HostEntry,
  interrupt: LinuxInterrupt | undefined,
  guests: ReadonlyMap<number, string>,
): MapRow {
  const part = entryPart(links, entry);
  const reserved = entry.mode === "remapped" && entry.vector === reservedVector;
  if (interrupt === undefined) {
    const state = reserved ? "reserved" : null;
    return { ...blankRow, ...part, ...deviceBehind(links, entry), state, origins: { entry: entry.origin } };
  }
  return {
    ...blankRow,
    ...interruptPart(links, interrupt),
    ...part,
    machine: part.machine ?? guests.get(interrupt.irq) ?? null,
    state: reserved ? "reserved" : kernelState(interrupt),
    origins: { entry: entry.origin, ...originsOf(links, interrupt) },
  };
}

function interruptRow(
  links: HostLinks,
  interrupt: LinuxInterrupt,
  guests: ReadonlyMap<number, string>,
): MapRow {
  const reference = links.referenceOf(interrupt)?.value;
  const entry = links.entryOf(interrupt);
  const part = interruptPart(links, interrupt);
  const unit = links.unitOf(interrupt);
  const listed = unit?.vendor === "intel" ? unit.table : unit?.tables.get(reference?.requester ?? -1);
  const absent =
    reference !== undefined && listed !== undefined && (listed.value.complete || entry !== undefined);
  const state: RowState | null = entry?.present
    ? "shared"
    : idle(part)
      ? "unused"
      : absent
        ? "not present"
        : kernelState(interrupt);
  return {
    ...blankRow,
    ...part,
    // A unit's own events do not go through it.
    unit: part.kind === "unit" ? null : (unit?.name ?? null),
    requester: requesterOf(links, interrupt),
    ...directPart(links, interrupt),
    machine: guests.get(interrupt.irq) ?? null,
    state,
    allocated: reference?.index ?? null,
    origins: originsOf(links, interrupt),
  };
}

/** Nobody handles it and it never came: a line that the kernel keeps for what is not there. */
function idle({ name, total }: Pick<MapRow, "name" | "total">): boolean {
  return name === null && (total ?? 0) === 0;
}

function kernelState({ started, masked }: LinuxInterrupt): RowState | null {
  if (started?.value === false) return "shut down";
  return masked?.value === true ? "masked" : null;
}

function requesterOf(links: HostLinks, interrupt: LinuxInterrupt): string | null {
  const source = links.sourceOf(interrupt);
  if (source?.kind === "pci") return printFunction(source);
  if (source?.kind !== "ioapic" && source?.kind !== "hpet") return null;
  const platform = links.platformSourceOf(source);
  return platform === undefined ? null : printFunction(platform);
}

function originsOf(
  links: HostLinks,
  interrupt: LinuxInterrupt,
): { readonly interrupt?: Origin; readonly message?: Origin } {
  const { from, chip, actions, counts, effective, affinity } = interrupt;
  const known: readonly (Fact<unknown> | undefined)[] = [chip, actions, from, counts, effective, affinity];
  const origin = known.find((one) => one !== undefined)?.origin;
  const message = links.messageOf(interrupt)?.origin;
  return {
    ...(origin === undefined ? {} : { interrupt: origin }),
    ...(message === undefined ? {} : { message }),
  };
}

/** Machines that an irq is bound to through irqbypass, or an eventfd. */
function machinesByIrq({ machines }: HostState): Map<number, string> {
  const found = new Map<number, string>();
  for (const { name, irqfds } of machines) {
    for (const { irq } of irqfds?.value ?? []) if (irq !== null) found.set(irq, name);
  }
  return found;
}
