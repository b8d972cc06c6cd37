import type { Kernel } from "../kernel.ts";
import { Ratelimit } from "../ratelimit.ts";
import type { Remapping, RemapMode } from "../remapping.ts";
import type { IntelIommu } from "./unit.ts";

/** An I/O APIC or HPET that a device scope puts under a unit. */
export interface InterruptSource {
  readonly iommu: IntelIommu;
  readonly id: number;
  readonly requester: number;
}

/** What the Intel driver keeps: its units, and whose interrupts they remap. */
export class IntelRemapping implements Remapping {
  readonly vendor = "intel";
  readonly units: readonly IntelIommu[];
  readonly ioapics: InterruptSource[] = [];
  readonly hpets: InterruptSource[] = [];
  enabled = false;
  mode: RemapMode = "xapic";
  postingCapable = false;
  /** How many lines faults may print. */
  readonly faultRatelimit = new Ratelimit("dmar_fault");
  /** `eim_mode`: entries have destinations of 32 bits. */
  eim = false;

  constructor(units: readonly IntelIommu[]) {
    this.units = units;
  }

  /** Entries that interrupts have, of all units: none when the machine has been taken apart. */
  get entries(): number {
    return this.units.reduce((sum, { table }) => sum + (table?.allocated ?? 0), 0);
  }

  ioapic(id: number): InterruptSource | undefined {
    return this.ioapics.find((source) => source.id === id);
  }

  hpet(id: number): InterruptSource | undefined {
    return this.hpets.find((source) => source.id === id);
  }
}

/** The driver's state, on a kernel that this driver serves. */
export function intelRemapping(k: Kernel): IntelRemapping {
  return k.remapping as IntelRemapping;
}

/** The form that a destination has in IRTEs, and in the NDST of descriptors: `IRTE_DEST`. */
export function destinationField(eim: boolean, apicId: number): number {
  return (eim ? apicId : apicId << 8) >>> 0;
}
