import * as posted from "../../spec/accessors/irte-posted.ts";
import * as irte from "../../spec/accessors/irte-remapped.ts";
import { DeliveryMode } from "../delivery.ts";
import type { Findings } from "./entry-cache.ts";
import { comparable } from "./source-id.ts";
import { Mode, Tag } from "./state.ts";

/** Delivery modes that no IRTE may have (vtd.irte.delivery-mode), as a set of bits. */
const illegalDeliveryModes = (1 << 3) | (1 << 6);
const busRange = 2;
const illegalSvt = 3;

/**
 * Whether an entry carries reserved bits or reserved values (vtd.ir.entry-reserved; VT-d 5.10 §9.9, §9.10), from its
 * four words.
 * @param descriptorLimit descriptor address bits 63:32 from here on lie above the host address width.
 */
export function badFormat(
  mode: number,
  low: number,
  destination: number,
  source: number,
  high: number,
  descriptorLimit: number,
): boolean {
  if (postsThrough(mode, low)) return badPostedFormat(mode, low, destination, source, high, descriptorLimit);
  if (((low & irte.RESERVED_0) | (source & irte.RESERVED_2) | (high & irte.RESERVED_3)) !== 0) return true;
  // vtd.irte.xapic-destination; qemu.vtd.destination-masked
  if ((mode & (Mode.eime | Mode.destinationMasked)) === 0 && (destination & irte.RESERVED_EIME_0_1) !== 0)
    return true;
  // qemu.vtd.format-unchecked
  if ((mode & Mode.formatUnchecked) !== 0) return false;
  const deliveryMode = irte.dlmOf(low);
  // vtd.irte.smi-vector
  if (deliveryMode === DeliveryMode.smi && irte.vOf(low) !== 0) return true;
  // vtd.irte.delivery-mode, vtd.irte.svt
  return ((illegalDeliveryModes >>> deliveryMode) & 1) !== 0 || irte.svtOf(source) === illegalSvt;
}

function badPostedFormat(
  mode: number,
  low: number,
  address: number,
  source: number,
  high: number,
  descriptorLimit: number,
): boolean {
  // vtd.irte.mode-unsupported
  if ((mode & Mode.posting) === 0) return true;
  if (((low & posted.RESERVED_0) | (address & posted.RESERVED_1) | (source & posted.RESERVED_2)) !== 0)
    return true;
  // vtd.irte.svt, vtd.irte.descriptor-address
  return posted.svtOf(source) === illegalSvt || high >>> 0 >= descriptorLimit;
}

/** IM=1, where the unit looks at it (qemu.vtd.posting-ignored). */
export function postsThrough(mode: number, low: number): boolean {
  return irte.imOf(low) !== 0 && (mode & Mode.postingIgnored) === 0;
}

/** Where a remapped entry sends: 32 bits in x2APIC mode, else DST[15:8]. */
export function destinationOf(mode: number, destination: number): number {
  return (mode & Mode.eime) !== 0 ? destination : (destination >>> 8) & 0xff;
}

/** What a cached entry keeps of the low word of its IRTE. */
const preparedBits = irte.DM_MASK | irte.RH_MASK | irte.TM_MASK | irte.DLM_MASK | irte.V_MASK;

/** All that can be said of an entry before a request comes. */
export function judge(mode: number, words: Int32Array, at: number, descriptorLimit: number): Findings {
  const low = words[at]!;
  const destination = words[at + irte.DST_WORD]!;
  const source = words[at + irte.SID_WORD]!;
  const high = words[at + 3]!;
  let tags = 0;
  const posts = postsThrough(mode, low);
  if (badFormat(mode, low, destination, source, high, descriptorLimit)) tags = Tag.badFormat;
  // qemu.vtd.svt-reserved-26h: well-formed there, and never verified.
  else if (irte.pOf(low) !== 0 && irte.svtOf(source) !== illegalSvt) {
    tags = Tag.lawful;
    if (irte.svtOf(source) === busRange) tags |= Tag.ranged;
    if (posts) tags |= posted.urgOf(low) === 0 ? Tag.posted : Tag.posted | Tag.urgent;
  }
  return {
    prepared: (low & preparedBits) | tags,
    source: comparable(source),
    target: posts ? posted.pdaLow(words, at) : destinationOf(mode, destination),
    targetHigh: high,
  };
}
