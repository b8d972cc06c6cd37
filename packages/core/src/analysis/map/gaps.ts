import type { Missing } from "../../evidence/host/fact.ts";
import type { HostLinks } from "../host/links.ts";
import type { MapRow } from "./row.ts";
import { entryUnknown } from "./totals.ts";

const kernelMemory = "the kernel's memory: run as root, or a vmcore";

/** What the map cannot say, beyond what its sources name themselves. */
export function gapsOf(links: HostLinks, rows: readonly MapRow[]): Missing[] {
  const gaps: Missing[] = [];
  const { units, processors, missing, interrupts } = links.state;
  /** Whether a source has said itself that it lacks entries of a unit. */
  const names = (unit: string): boolean =>
    missing.some(({ what }) => what.includes(unit) && /table|entries/.test(what));
  for (const unit of units) {
    const known = unit.vendor === "intel" ? unit.table !== undefined : unit.tables.size > 0;
    if (known || names(unit.name) || links.remappingOn(unit)?.value === false) continue;
    gaps.push({
      what: `the interrupt remapping ${unit.vendor === "intel" ? "table" : "tables"} of ${unit.name}`,
      why: "no source shows it",
      needs: `${kernelMemory}; or debugfs`,
    });
  }
  for (const unit of units) {
    const partial = links.tables.find((one) => one.unit === unit && !one.table.value.complete);
    if (partial === undefined || names(unit.name)) continue;
    gaps.push({
      what: `entries of ${unit.name} that ${partial.table.origin.source} leaves out`,
      why: "it lists only some of those that are present",
      needs: kernelMemory,
    });
  }
  const unclaimed = rows.filter(({ index, irq }) => index !== null && irq === null).length;
  const unplaced = rows.filter((row) => entryUnknown(row)).length;
  if (interrupts.length === 0 && unclaimed > 0) {
    gaps.push({ what: "Linux's interrupts", why: "no source lists them", needs: "/proc/interrupts" });
  } else if (unclaimed > 0 && unplaced > 0) {
    gaps.push({
      what: `which of ${unclaimed} entries serve which of ${unplaced} interrupts`,
      why: "no source says which entry an interrupt has",
      needs: `${kernelMemory}; or debugfs (irq/irqs)`,
    });
  }
  const untold = processors.filter(({ apicId }) => apicId === undefined).length;
  if (processors.length === 0 || untold > 0) {
    gaps.push({
      what: processors.length === 0 ? "the host's processors" : `the APIC ids of ${untold} processors`,
      why: "no source names them",
      needs: "/proc/cpuinfo",
    });
  }
  return gaps;
}
