import type { Values } from "../../spec/codec.ts";
import { decode } from "../../spec/codec.ts";
import { extendedFeature, extendedFeature2 } from "../../spec/amdvi/registers.ts";
import type { AmdviUnit } from "../../hardware/amdvi/unit.ts";
import type { Kernel } from "../kernel.ts";
import type { IrqDomain } from "../irq/domain.ts";
import type { PciDevice } from "../pci/device.ts";
import type { RemapMode, Remapping } from "../remapping.ts";
import { AmdIommu, PciSegment } from "./iommu.ts";

/** `amd_iommu_guest_ir`: entries of 32 bits, of 128 bits, or of 128 bits that can post to guests. */
export type GuestIr = "legacy" | "legacyGa" | "vapic";

type Features = Values<keyof typeof extendedFeature.fields>;
type Features2 = Values<keyof typeof extendedFeature2.fields>;

/** Told of the GATag of an interrupt whose virtual CPU did not run. @returns 0 when it was understood. */
export type GaLogNotifier = (k: Kernel, gaTag: number) => number;

/** What the AMD driver keeps: `amd_iommu_list` and the variables that its parts share. */
export class AmdRemapping implements Remapping {
  readonly vendor = "amd";
  enabled = false;
  mode: RemapMode = "xapic";
  postingCapable = false;
  guestIr: GuestIr;
  readonly segments: PciSegment[] = [];
  readonly iommus: AmdIommu[] = [];
  notifier: GaLogNotifier | null = null;
  /** The domain of the units' own interrupts; null before the first. */
  ownInterrupts: IrqDomain | null = null;

  constructor(guestIr: GuestIr) {
    this.guestIr = guestIr;
  }

  /** Entries have 128 bits: `AMD_IOMMU_GUEST_IR_GA`. */
  get ga(): boolean {
    return this.guestIr !== "legacy";
  }

  /** Features that every unit has. */
  get features(): Features {
    return decode(
      extendedFeature,
      this.#common(({ profile }) => profile.efr),
    );
  }

  get features2(): Features2 {
    return decode(
      extendedFeature2,
      this.#common(({ profile }) => profile.efr2),
    );
  }

  #common(register: (unit: AmdviUnit) => bigint): bigint {
    return this.iommus.map(({ unit }) => register(unit)).reduce((all, one) => all & one);
  }

  segment(id: number): PciSegment {
    const known = this.segments.find((segment) => segment.id === id);
    if (known !== undefined) return known;
    const segment = new PciSegment(id);
    this.segments.push(segment);
    return segment;
  }

  /** `__rlookup_amd_iommu`: the unit that remaps a device; undefined for a segment without one. */
  lookup(segment: number, device: number): AmdIommu | undefined {
    const units = this.iommus.filter((iommu) => iommu.segment.id === segment);
    const named = units.find(({ ivhd }) => ivhd.specials.some(({ requester }) => requester === device));
    return named ?? units[0];
  }

  /** The special device entry of an I/O APIC or HPET. @returns its segment and DeviceID; undefined when none names it. */
  special(
    kind: "ioapic" | "hpet",
    id: number,
  ): { readonly segment: number; readonly device: number } | undefined {
    for (const { ivhd } of this.iommus) {
      const entry = ivhd.specials.find((scope) => scope.kind === kind && scope.id === id);
      if (entry !== undefined) return { segment: ivhd.segment, device: entry.requester };
    }
    return undefined;
  }

  /** Entries in use, in all tables: none once every interrupt has been freed. */
  get allocatedEntries(): number {
    const tables = new Set(this.segments.flatMap(({ irqTables }) => [...irqTables.values()]));
    return [...tables].reduce((sum, table) => sum + table.allocated, 0);
  }
}

/** @throws Error when the kernel does not remap with AMD-Vi: a caller that has no business here. */
export function amdRemapping(k: Kernel): AmdRemapping {
  if (k.remapping instanceof AmdRemapping) return k.remapping;
  throw new Error("AMD-Vi: the kernel has not prepared interrupt remapping");
}

/** `search_dev_data`: the PCI function with that DeviceID; undefined for an I/O APIC or HPET. */
export function pciDeviceOf(k: Kernel, segment: number, device: number): PciDevice | undefined {
  return k.devices.find((one) => one.segment === segment && one.requester === device);
}
