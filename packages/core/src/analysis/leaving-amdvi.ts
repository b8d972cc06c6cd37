import type { AmdviProfile } from "../hardware/amdvi/profile.ts";
import { DeliveryMode } from "../hardware/delivery.ts";
import * as requestAddress from "../spec/accessors/amdvi-request-address.ts";
import * as dte from "../spec/accessors/amdvi-dte.ts";
import * as message from "../spec/accessors/msi-data.ts";
import { IntCtl } from "../spec/amdvi/dte.ts";
import { extendedFeature2 } from "../spec/amdvi/registers.ts";
import { decode } from "../spec/codec.ts";
import type { RuleId } from "../spec/rules.ts";

/** What decides by which rule a request leaves an AMD-Vi unit. */
export interface Leaving {
  /** The unit remaps: IommuEn, or what it takes for that. */
  readonly enabled: boolean;
  /** The eight words of the device's entry. */
  readonly device: Int32Array;
  readonly data: number;
  /** As {@link hasWideIndex} says. */
  readonly wideIndex: boolean;
}

type Profile = Pick<AmdviProfile, "efr2" | "validGatesInterrupts" | "deviations">;

/** By which rule a request left that was neither blocked nor posted: the first that let it go, in the unit's order. */
export function leavingRule(profile: Profile, { enabled, device, data, wideIndex }: Leaving): RuleId {
  if (!enabled) return "amdvi.ir.disabled";
  if (dte.iv(device, 0) === 0) return "amdvi.ir.map-invalid";
  if (profile.validGatesInterrupts && dte.v(device, 0) === 0) return "amdvi.dte.valid-gates";
  const type = message.dlm(data);
  if (!wideIndex && type > DeliveryMode.lowestPriority) {
    return type === DeliveryMode.smi ? "amdvi.ir.smi-passes" : "amdvi.ir.type-passes";
  }
  if (dte.intctl(device, 0) !== IntCtl.pass) return "amdvi.ir.remap";
  return profile.deviations.includes("passZeroed") ? "qemu.amdvi.pass-zeroed" : "amdvi.ir.intctl-pass";
}

/** Whether the type's bits of a request belong to its index (amdvi.ir.index-2048). @param address of the request, int32. */
export function hasWideIndex(
  { efr2, deviations }: Profile,
  numIntRemapMode: number | bigint,
  address: number,
): boolean {
  const can = decode(extendedFeature2, efr2).numintremapsup === 1 && !deviations.includes("typeFromData");
  return can && numIntRemapMode === 1 && requestAddress.dm(address) === 1;
}
