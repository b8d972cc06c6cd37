import { irteGuest, irteRemapped128 } from "../../spec/amdvi/irte.ts";
import { type Values, decode, encode } from "../../spec/codec.ts";
import { errno } from "../errno.ts";
import { apicDriver } from "../irq/apic-driver.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { flushInterruptTable } from "./commands.ts";
import { type AmdIrData, inGuestMode, modifyIrteGa, writeIrteGa } from "./irte.ts";
import { amdRemapping } from "./remapping.ts";
import { getIrqTable } from "./table.ts";

type Guest = Values<keyof typeof irteGuest.fields>;

/** Where a virtual CPU runs, as an entry that posts to it says. */
export interface GuestPlace {
  /** Host APIC id; -1 while it does not run. */
  readonly apicId: number;
  /** While it does not run: write a log entry. */
  readonly gaLogInterrupt: boolean;
}

/** The fields that follow the virtual CPU about; the destination stays where it last ran. */
function placeFields(k: Kernel, { apicId, gaLogInterrupt }: GuestPlace): Partial<Guest> {
  const log = k.runs({ from: "6.17" }) ? { galogintr: gaLogInterrupt && apicId < 0 ? 1 : 0 } : {};
  return apicId < 0 ? { isrun: 0, ...log } : { isrun: 1, dest: apicId, ...log };
}

/** Posting needs units that can: the release says whether asking without is a fault of the caller. */
function refusal(k: Kernel): number | undefined {
  if (amdRemapping(k).guestIr === "vapic") return undefined;
  return k.runs({ from: "6.17" }) ? -errno.EINVAL : 0;
}

/**
 * Lets an entry post to a virtual CPU. RemapEn is kept: an interrupt that was not enabled stays so, and one that was
 * must not be lost.
 * @param place from 6.17 on; before, the entry starts with the virtual CPU not running.
 */
export const activateGuestMode = kernelFunction(
  "amd_iommu_activate_guest_mode",
  (k: Kernel, data: AmdIrData, place: GuestPlace): number => {
    const refused = refusal(k);
    if (refused !== undefined) return refused;
    const reworked = k.runs({ from: "6.17" });
    data.entry = encode(irteGuest, {
      remapen: decode(irteGuest, data.entry).remapen,
      guestmode: 1,
      root: data.vapic,
      vector: data.guestVector,
      gatag: data.gaTag >>> 0,
      ...(reworked ? placeFields(k, place) : { galogintr: 1 }),
    });
    return modifyIrteGa(k, data);
  },
);

/** Delivers to the host again, with the target that the interrupt has there. */
export const deactivateGuestMode = kernelFunction(
  "amd_iommu_deactivate_guest_mode",
  (k: Kernel, data: AmdIrData): number => {
    const refused = refusal(k);
    if (refused !== undefined) return refused;
    if (!inGuestMode(data)) return 0;
    data.entry = encode(irteRemapped128, {
      remapen: decode(irteGuest, data.entry).remapen,
      dm: apicDriver(k).logical ? 1 : 0,
      vector: data.config.vector,
      dest: data.config.destination,
    });
    return modifyIrteGa(k, data);
  },
);

/**
 * The virtual CPU was scheduled in or out. The unit keeps none of the fields that change, so that since 6.5 nothing is
 * invalidated (facts 3.5).
 */
export const updateGa = kernelFunction(
  "amd_iommu_update_ga",
  (k: Kernel, data: AmdIrData, place: GuestPlace): number => {
    const refused = refusal(k);
    if (refused !== undefined) return refused;
    if (!inGuestMode(data)) return 0;
    if (getIrqTable(k, data.iommu, data.devid) === undefined) return -errno.ENODEV;
    data.entry = encode(irteGuest, { ...decode(irteGuest, data.entry), ...placeFields(k, place) });
    const result = writeIrteGa(k, data);
    if (k.runs({ below: "6.5" })) flushInterruptTable(k, data.iommu, data.devid);
    return result;
  },
);
