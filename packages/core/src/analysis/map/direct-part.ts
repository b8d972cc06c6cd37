import type { Message } from "../../evidence/host/device.ts";
import type { LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import { decode } from "../../spec/codec.ts";
import { deliveryModes, msiAddress, msiData } from "../../spec/msi/message.ts";
import type { HostLinks } from "../host/links.ts";
import type { MapRow } from "./row.ts";

type DirectPart = Pick<MapRow, "mode" | "vector" | "destination" | "logical" | "delivery" | "processors">;

/** What is known of where an interrupt goes that has no known entry. */
export function directPart(links: HostLinks, interrupt: LinuxInterrupt): DirectPart {
  const mode = modeOf(links, interrupt);
  const message = mode === "unremapped" ? links.messageOf(interrupt)?.value : undefined;
  if (message !== undefined) return { mode, ...named(links, message) };
  const vector = interrupt.vector?.value;
  return {
    mode,
    vector: vector?.vector ?? null,
    destination: null,
    logical: null,
    delivery: null,
    processors: vector === undefined ? (interrupt.effective?.value ?? null) : [vector.cpu],
  };
}

/** The chips of the outermost domain are called `IR-…` where interrupts are remapped; a unit's own never are. */
function modeOf(links: HostLinks, interrupt: LinuxInterrupt): MapRow["mode"] {
  if (links.referenceOf(interrupt) !== undefined) return "remapped";
  const domains = interrupt.domains?.value;
  if (domains !== undefined && domains.length > 1) {
    return domains.some(({ domain }) => /^(?:INTEL|AMD)-IR/.test(domain)) ? "remapped" : "unremapped";
  }
  const chip = interrupt.chip?.value;
  if (chip === undefined) return null;
  if (chip.startsWith("IR-")) return "remapped";
  return /^(?:PCI-MSI|IO-APIC|HPET-MSI|HPET_MSI|DMAR-MSI|IOMMU-MSI)/.test(chip) ? "unremapped" : null;
}

function named(links: HostLinks, { address, data }: Message): Omit<DirectPart, "mode"> {
  const fields = decode(msiAddress, address);
  const middle = Number((address >> 5n) & 0x7fn);
  const high = Number(fields.dsthigh);
  const destination = ((high | middle) * 0x100 + Number(fields.dst)) >>> 0;
  const { v, dlm } = decode(msiData, BigInt(data));
  const logical = fields.dm === 1;
  const extended = high !== 0 || middle !== 0 || links.state.system.routing?.value.mode === "x2apic";
  const known: Readonly<Record<number, string>> = deliveryModes;
  return {
    vector: Number(v),
    destination,
    logical,
    delivery: known[Number(dlm)] ?? `reserved ${Number(dlm)}`,
    processors: links.processorsOf(destination, logical, extended)?.map(({ cpu }) => cpu) ?? null,
  };
}
