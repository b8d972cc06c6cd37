import type { Releases } from "../../hardware/call-stack.ts";
import type { Flags } from "./flags.ts";

/** A word that a parameter's value may hold. */
export interface Keyword {
  readonly word: string;
  readonly sets: Flags;
  /** Releases that know it; all unless told. */
  readonly releases?: Releases;
  /** The rest of the value is not looked at. */
  readonly last?: true;
}

/**
 * How a value is searched for keywords. Only as many characters are compared as a keyword has, so that an item counts
 * as the keyword that it begins with.
 * - `first`: items between commas, each the first keyword that it begins with.
 * - `every`: items between commas, each every keyword that it begins with.
 * - `anywhere`: no items, keywords wherever in the value they stand.
 */
export type Search = "first" | "every" | "anywhere";

/** A parameter whose value holds keywords. */
export interface KeywordParameter {
  readonly name: string;
  readonly keywords: readonly Keyword[];
  readonly search: Search | readonly (readonly [Search, Releases])[];
  /** What even a parameter without keywords sets. */
  readonly sets?: Flags;
  /** Taken by `early_param`: without a value it is malformed. Others then do not match at all. */
  readonly early: boolean;
}

/** `setup_irqremap`. */
const intremap: KeywordParameter = {
  name: "intremap",
  early: true,
  search: "first",
  keywords: [
    { word: "on", sets: { disable_irq_remap: false, disable_irq_post: false } },
    { word: "off", sets: { disable_irq_remap: true, disable_irq_post: true } },
    { word: "nosid", sets: { disable_sourceid_checking: true } },
    { word: "no_x2apic_optout", sets: { no_x2apic_optout: true } },
    { word: "nopost", sets: { disable_irq_post: true }, releases: { from: "4.2" } },
    { word: "posted_msi", sets: { enable_posted_msi: true }, releases: { from: "6.10" } },
  ],
};

/** `intel_iommu_setup`. Nothing here is about interrupts. */
const intelIommu: KeywordParameter = {
  name: "intel_iommu",
  early: false,
  search: "first",
  keywords: [
    { word: "on", sets: { dmar_disabled: false } },
    { word: "off", sets: { dmar_disabled: true, no_platform_optin: true } },
    { word: "igfx_off", sets: { dmar_map_gfx: false }, releases: { below: "6.9" } },
    { word: "igfx_off", sets: { disable_igfx_iommu: true }, releases: { from: "6.9" } },
    { word: "forcedac", sets: { iommu_dma_forcedac: true }, releases: { from: "5.12" } },
    { word: "forcedac", sets: { dmar_forcedac: true }, releases: { below: "5.12" } },
    { word: "strict", sets: { iommu_dma_strict: true }, releases: { from: "5.15" } },
    { word: "strict", sets: { intel_iommu_strict: true }, releases: { below: "5.15" } },
    { word: "sp_off", sets: { intel_iommu_superpage: false } },
    { word: "ecs_off", sets: { intel_iommu_ecs: false }, releases: { below: "5.0" } },
    { word: "sm_on", sets: { intel_iommu_sm: true }, releases: { from: "5.0" } },
    { word: "sm_off", sets: { intel_iommu_sm: false }, releases: { from: "5.15" } },
    { word: "tboot_noforce", sets: { intel_iommu_tboot_noforce: true }, releases: { from: "4.13" } },
    { word: "nobounce", sets: { intel_no_bounce: true }, releases: { from: "5.4", below: "5.12" } },
  ],
};

/** `parse_amd_iommu_options`: until 6.1 it looked at every place of the value. */
const amdIommu: KeywordParameter = {
  name: "amd_iommu",
  early: false,
  search: [
    ["anywhere", { below: "6.1" }],
    ["first", { from: "6.1" }],
  ],
  keywords: [
    { word: "fullflush", sets: { iommu_dma_strict: true }, releases: { from: "5.15" } },
    { word: "fullflush", sets: { amd_iommu_unmap_flush: true }, releases: { below: "5.15" } },
    { word: "force_enable", sets: { amd_iommu_force_enable: true }, releases: { from: "5.14" } },
    { word: "off", sets: { amd_iommu_disabled: true } },
    { word: "force_isolation", sets: { amd_iommu_force_isolation: true } },
    { word: "pgtbl_v1", sets: { amd_iommu_pgtable: "v1" }, releases: { from: "6.1" } },
    { word: "pgtbl_v2", sets: { amd_iommu_pgtable: "v2" }, releases: { from: "6.1" } },
    { word: "irtcachedis", sets: { amd_iommu_irtcachedis: true }, releases: { from: "6.5" } },
    {
      word: "nohugepages",
      sets: { amd_iommu_pgsize_bitmap: "AMD_IOMMU_PGSIZES_4K" },
      releases: { from: "6.12" },
    },
    {
      word: "v2_pgsizes_only",
      sets: { amd_iommu_pgsize_bitmap: "AMD_IOMMU_PGSIZES_V2" },
      releases: { from: "6.12" },
    },
  ],
};

/** `parse_amd_iommu_intr`: the first of the two words that stands anywhere. */
const amdIommuIntr: KeywordParameter = {
  name: "amd_iommu_intr",
  early: false,
  search: "anywhere",
  keywords: [
    { word: "legacy", sets: { amd_iommu_guest_ir: "AMD_IOMMU_GUEST_IR_LEGACY_GA" }, last: true },
    { word: "vapic", sets: { amd_iommu_guest_ir: "AMD_IOMMU_GUEST_IR_VAPIC" }, last: true },
  ],
};

/** `iommu_setup`, then `gart_parse_options`, which looks at each item too. */
const iommu: KeywordParameter = {
  name: "iommu",
  early: true,
  search: "every",
  sets: { iommu_merge: true },
  keywords: [
    { word: "off", sets: { no_iommu: true } },
    { word: "force", sets: { force_iommu: true, gart_iommu_aperture_allowed: true } },
    { word: "noforce", sets: { iommu_merge: false, force_iommu: false } },
    { word: "biomerge", sets: { iommu_merge: true, force_iommu: true } },
    { word: "panic", sets: { panic_on_overflow: true } },
    { word: "nopanic", sets: { panic_on_overflow: false } },
    { word: "merge", sets: { iommu_merge: true, force_iommu: true } },
    { word: "nomerge", sets: { iommu_merge: false } },
    { word: "forcesac", sets: {} },
    { word: "allowdac", sets: {} },
    { word: "nodac", sets: {} },
    { word: "usedac", sets: { disable_dac_quirk: true }, last: true },
    { word: "soft", sets: { swiotlb: true }, releases: { below: "5.19" } },
    { word: "soft", sets: { x86_swiotlb_enable: true }, releases: { from: "5.19" } },
    { word: "pt", sets: { iommu_pass_through: true }, releases: { below: "5.4" } },
    { word: "pt", sets: { iommu_def_domain_type: "IOMMU_DOMAIN_IDENTITY" }, releases: { from: "5.4" } },
    { word: "nopt", sets: { iommu_pass_through: false }, releases: { below: "5.4" } },
    { word: "nopt", sets: { iommu_def_domain_type: "IOMMU_DOMAIN_DMA" }, releases: { from: "5.4" } },
    { word: "fullflush", sets: { iommu_fullflush: true } },
    { word: "nofullflush", sets: { iommu_fullflush: false } },
    { word: "noagp", sets: { no_agp: true } },
    { word: "noaperture", sets: { fix_aperture: false } },
    { word: "allowed", sets: { gart_iommu_aperture_allowed: true } },
    { word: "memaper", sets: { fallback_aper_force: true } },
    ...Array.from({ length: 10 }, (_, digit) => ({ word: `${digit}`, sets: {} })),
  ],
};

export const keywordParameters: readonly KeywordParameter[] = [
  intremap,
  intelIommu,
  amdIommu,
  amdIommuIntr,
  iommu,
];

/** Parameters that set something by being there; a value is not looked at. */
export const bareParameters: Readonly<Record<string, Flags>> = {
  nointremap: { disable_irq_remap: true },
  x2apic_phys: { x2apic_phys: true },
  nox2apic: { x2apic_state: "X2APIC_DISABLED" },
  noapic: { skip_ioapic_setup: true },
};

/** Parameters of modules that are truth values. */
export const booleanParameters: Readonly<Record<string, Releases>> = {
  "vfio_iommu_type1.allow_unsafe_interrupts": {},
  "iommufd.allow_unsafe_interrupts": { from: "6.2" },
  "kvm.vector_hashing": { from: "4.6" },
  "kvm_intel.enable_apicv": {},
  "kvm_intel.enable_device_posted_irqs": { from: "6.16" },
  "kvm_amd.avic": { from: "4.7" },
  "kvm_amd.enable_device_posted_irqs": { from: "6.16" },
};
