import type { Message, PciDevice } from "../../evidence/host/device.ts";
import type { Origin } from "../../evidence/host/fact.ts";
import type { UnitState } from "../../evidence/host/unit.ts";
import { IntCtl, dte } from "../../spec/amdvi/dte.ts";
import { decode } from "../../spec/codec.ts";
import { msiAmdData, msiRemappableAddress } from "../../spec/msi/message.ts";
import type { HostLinks } from "../host/links.ts";

/** The message of a function's MSI capability, by the entry that it names. */
export interface RemappableMessage {
  readonly unit: UnitState;
  /** AMD-Vi: whose table. */
  readonly requester: number | null;
  /** Of its first vector. */
  readonly index: number;
  readonly used: number;
  readonly origin: Origin;
}

/** Whether a VT-d unit takes a message for one in remappable format; undefined for one that is no interrupt. */
export function isRemappable({ address }: Message): boolean | undefined {
  const { format, prefix } = decode(msiRemappableAddress, address & 0xffff_ffffn);
  return prefix === 0xfee && address >> 32n === 0n ? format === 1 : undefined;
}

/** Rule `linux.ir.single-msi-data`. */
export function hasStrayData({ address, data }: Message, used: number): boolean {
  const { shv } = decode(msiRemappableAddress, address & 0xffff_ffffn);
  return used === 1 && isRemappable({ address, data }) === true && shv === 1 && data !== 0;
}

/** The entry that a function's MSI names; undefined where it is off, not remapped, or not what Linux writes. */
export function remappableOf(links: HostLinks, device: PciDevice): RemappableMessage | undefined {
  const { msi } = device;
  const unit = links.unitOf(device);
  if (msi?.value.enabled !== true || unit === undefined || links.remappingOn(unit)?.value !== true)
    return undefined;
  const { message, used } = msi.value;
  const { address, data } = message;
  if (unit.vendor === "amd") {
    const entry = unit.devices?.value.get(device.requester);
    if (device.requester === unit.requester?.value || (entry !== undefined && !remaps(entry)))
      return undefined;
    if (entry === undefined && !unit.tables.has(device.requester)) return undefined;
    const { index } = decode(msiAmdData, BigInt(data));
    return { unit, requester: device.requester, index: Number(index), used, origin: msi.origin };
  }
  if (isRemappable(message) !== true || hasStrayData(message, used)) return undefined;
  const { shv, handle } = decode(msiRemappableAddress, address & 0xffff_ffffn);
  return {
    unit,
    requester: null,
    index: Number(handle) + (shv === 1 ? data & 0xffff : 0),
    used,
    origin: msi.origin,
  };
}

/** Whether a device table entry sends fixed interrupts through the table. */
export function remaps(entry: bigint): boolean {
  const { iv, intctl } = decode(dte, entry);
  return iv === 1 && intctl === IntCtl.remap;
}
