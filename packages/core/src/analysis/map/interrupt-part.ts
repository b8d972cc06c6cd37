import { hex } from "../../spec/codec.ts";
import { printFunction } from "../../spec/requester.ts";
import type { LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { HostLinks } from "../host/links.ts";
import type { MapRow } from "./row.ts";

/** What a row says of Linux's interrupt and of the device that sends it. */
export type InterruptPart = Pick<
  MapRow,
  "irq" | "device" | "driver" | "kind" | "input" | "name" | "chip" | "message" | "counts" | "total"
>;

export function interruptPart(links: HostLinks, interrupt: LinuxInterrupt): InterruptPart {
  const { irq, actions, chip, counts } = interrupt;
  const message = links.messageOf(interrupt)?.value;
  return {
    irq,
    ...sourcePart(links, interrupt),
    name: actions === undefined || actions.value.length === 0 ? null : actions.value.join(", "),
    chip: chip?.value ?? null,
    message: message === undefined ? null : { address: hex(message.address), data: hex(message.data) },
    counts: counts === undefined ? null : sparse(links, counts.value),
    total: counts === undefined ? null : counts.value.reduce((sum, count) => sum + count, 0),
  };
}

function sourcePart(
  links: HostLinks,
  interrupt: LinuxInterrupt,
): Pick<MapRow, "device" | "driver" | "kind" | "input"> {
  const source = links.sourceOf(interrupt);
  const device = links.deviceOf(interrupt);
  const driver = device?.driver?.value ?? null;
  const numbered = (id: number | null): string | null =>
    id === null || source === undefined ? null : `${source.kind}${id}`;
  switch (source?.kind) {
    case "pci": {
      const kind = isUnit(links, source) ? "unit" : (links.messageKindOf(interrupt) ?? null);
      return { device: printFunction(source), driver, kind, input: source.index };
    }
    case "ioapic":
      return { device: numbered(source.id), driver, kind: "ioapic", input: source.pin };
    case "hpet":
      return { device: numbered(source.id), driver, kind: "hpet", input: null };
    case "unit":
      return { device: source.unit, driver, kind: "unit", input: null };
    case undefined:
  }
  const kind = links.messageKindOf(interrupt) ?? null;
  return { device: device === undefined ? null : printFunction(device), driver, kind, input: null };
}

/** Whether a function is an AMD-Vi unit: its own events are never remapped. */
function isUnit(links: HostLinks, { segment, requester }: { segment: number; requester: number }): boolean {
  return links.state.units.some(
    (unit) =>
      unit.vendor === "amd" && unit.requester?.value === requester && links.segmentOf(unit) === segment,
  );
}

function sparse(links: HostLinks, counts: readonly number[]): Record<string, number> {
  const processors = links.state.processors;
  const result: Record<string, number> = {};
  counts.forEach((count, i) => {
    if (count !== 0) result[processors[i]?.cpu ?? i] = count;
  });
  return result;
}
