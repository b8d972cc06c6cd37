import { type Fact, fact } from "../../evidence/host/fact.ts";
import type { EntryReference, LinuxInterrupt } from "../../evidence/host/interrupt.ts";
import type { AmdviUnitState } from "../../evidence/host/unit.ts";
import { IntCtl, dte } from "../../spec/amdvi/dte.ts";
import { decode } from "../../spec/codec.ts";
import { msiAmdData, msiRemappableAddress } from "../../spec/msi/message.ts";
import type { HostLinks } from "./links.ts";

/**
 * The entry that an interrupt's message names, where the unit and the requester before it are certain and the message
 * is one that is remapped. Vectors of one MSI share the kernel's message: the function adds the vector's number.
 */
export function messageIndexOf(
  links: HostLinks,
  interrupt: LinuxInterrupt,
): Fact<EntryReference> | undefined {
  const source = links.sourceOf(interrupt);
  const device = links.deviceOf(interrupt);
  if (source?.kind !== "pci" || device === undefined) return undefined;
  const message = links.messageOf(interrupt);
  const unit = links.unitOf(device);
  if (message === undefined || unit === undefined) return undefined;
  const kind = links.messageKindOf(interrupt);
  if (source.index !== 0 && (source.index === null || kind === undefined)) return undefined;
  const offset = kind === "msi" && interrupt.message !== undefined ? source.index : 0;
  const { address, data } = message.value;
  if (links.remappingOn(unit)?.value === false || address >> 32n !== 0n) return undefined;
  if (unit.vendor === "intel") {
    const { format, shv, handle, prefix } = decode(msiRemappableAddress, address);
    if (format !== 1 || prefix !== 0xfee) return undefined;
    const index = Number(handle) + (shv === 1 ? data & 0xffff : 0) + offset;
    return fact({ unit: unit.name, requester: null, index }, message.origin);
  }
  if (!remaps(links, unit, device.requester)) return undefined;
  const index = Number(decode(msiAmdData, BigInt(data)).index) + offset;
  return fact({ unit: unit.name, requester: device.requester, index }, message.origin);
}

/** Whether a unit sends fixed interrupts of a requester through its table. */
function remaps(links: HostLinks, unit: AmdviUnitState, requester: number): boolean {
  const value = unit.devices?.value.get(requester);
  if (value !== undefined) {
    const { iv, intctl } = decode(dte, value);
    return iv === 1 && intctl === IntCtl.remap;
  }
  return unit.tables.has(requester) && links.remappingOn(unit)?.value === true;
}
