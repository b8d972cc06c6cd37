import type { MapRow } from "@intremap/core";

/** What `follow` takes for the interrupt of a row: its entry, else its irq. */
export function subjectOf({ unit, index, requester, irq, source }: MapRow): string | null {
  if (unit !== null && index !== null) {
    const table = source === null && requester !== null ? `${requester.slice(-7)}:` : "";
    return `${unit}:${table}${index}`;
  }
  return irq === null ? null : `irq ${irq}`;
}
