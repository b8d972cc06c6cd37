import type { AmdviUnit } from "../hardware/amdvi/unit.ts";
import type { VtdUnit } from "../hardware/vtd/unit.ts";

/** What a device scope or special device entry names. */
export type ScopedDevice =
  | { readonly kind: "endpoint"; readonly requester: number }
  /** A bridge and what lies behind it: `buses` are its secondary and subordinate bus numbers. */
  | {
      readonly kind: "bridge";
      readonly requester: number;
      readonly buses?: readonly [secondary: number, subordinate: number];
    }
  | { readonly kind: "ioapic" | "hpet"; readonly id: number; readonly requester: number };

/** One DRHD structure, and the unit that answers at its register base. */
export interface Drhd {
  readonly base: number;
  readonly segment: number;
  /** INCLUDE_PCI_ALL: every device of the segment that no other unit names. */
  readonly includeAll: boolean;
  readonly scopes: readonly ScopedDevice[];
  readonly unit: VtdUnit;
}

/** The DMAR table. */
export interface Dmar {
  readonly hostAddressWidth: number;
  /** Flag INTR_REMAP. */
  readonly interruptRemapping: boolean;
  /** Flag X2APIC_OPT_OUT. */
  readonly x2apicOptOut: boolean;
  readonly units: readonly Drhd[];
}

/** One IVHD block, and its unit. */
export interface Ivhd {
  readonly base: number;
  readonly segment: number;
  /** The IOMMU's own DeviceID. */
  readonly requester: number;
  /** Special device entries; every other device of the segment belongs to the unit too. */
  readonly specials: readonly ScopedDevice[];
  readonly unit: AmdviUnit;
}

/** The IVRS table. */
export interface Ivrs {
  readonly units: readonly Ivhd[];
}

/** What the machine tells a kernel when it boots. */
export interface Firmware {
  readonly dmar?: Dmar;
  readonly ivrs?: Ivrs;
  /** I/O APICs of the MADT, by id. */
  readonly ioapics: readonly { readonly id: number; readonly version: number }[];
  readonly hpets: readonly { readonly id: number }[];
  /** CPUID: x2APIC mode. */
  readonly x2apic: boolean;
  /** Firmware has turned x2APIC mode on already. */
  readonly x2apicPreset?: boolean;
  /** CPUID: cmpxchg16b. */
  readonly cx16: boolean;
  /** CPUID 40000001h EAX bit 15, with a hypervisor present. */
  readonly extendedDestinationId?: boolean;
  /** Running under a hypervisor. */
  readonly hypervisor?: boolean;
  /** The chipset's erratum (rule linux.ir.chipset-erratum). */
  readonly remappingBroken?: boolean;
  /** This kernel was started by kdump: the tables of the one before are still in memory. */
  readonly kdump?: boolean;
}
