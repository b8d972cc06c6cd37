import type { MapRow } from "./row.ts";

/** How many rows of each kind there are. */
export interface MapTotals {
  /** Present entries. */
  readonly entries: number;
  readonly remapped: number;
  /** Posted by VT-d, or in guest mode on AMD-Vi. */
  readonly posted: number;
  /** Entries that point at the vector for interrupts that nobody has requested. */
  readonly reserved: number;
  /** Entries of which it is not known whose interrupt they carry. */
  readonly withoutIrq: number;
  /** Interrupts of Linux that are used. */
  readonly irqs: number;
  /** Used interrupts whose message names vector and destination itself; the units' own among them. */
  readonly unremapped: number;
  /** Used interrupts that are remapped through an entry that is not known. */
  readonly entryUnknown: number;
  /** How often all of them came; null where no counts are known. */
  readonly count: number | null;
}

export function totalsOf(rows: readonly MapRow[]): MapTotals {
  const entries = rows.filter(({ index }) => index !== null);
  const used = rows.filter(({ irq, state }) => irq !== null && state !== "unused");
  const counted = rows.filter(({ total }) => total !== null);
  return {
    entries: entries.length,
    remapped: entries.filter(({ mode }) => mode === "remapped").length,
    posted: entries.filter(({ mode }) => mode === "posted" || mode === "guest").length,
    reserved: entries.filter(({ state }) => state === "reserved").length,
    withoutIrq: entries.filter(({ irq }) => irq === null).length,
    irqs: used.length,
    unremapped: used.filter(({ index, mode }) => index === null && mode === "unremapped").length,
    entryUnknown: used.filter(entryUnknown).length,
    count: counted.length === 0 ? null : counted.reduce((sum, { total }) => sum + total!, 0),
  };
}

/** Whether an interrupt is remapped, and nothing says through which entry. */
export function entryUnknown({ irq, index, allocated, mode, state }: MapRow): boolean {
  return irq !== null && index === null && allocated === null && mode === "remapped" && state !== "unused";
}
