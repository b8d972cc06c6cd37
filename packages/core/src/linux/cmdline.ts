import { readCommandLine } from "./cmdline/command-line.ts";

/** The kernel's variables that its command line sets, under the kernel's names in camelCase. */
export interface KernelParameters {
  /** `disable_irq_remap` */
  readonly disableIrqRemap: boolean;
  /** `disable_irq_post` */
  readonly disableIrqPost: boolean;
  /** `disable_sourceid_checking` */
  readonly disableSourceidChecking: boolean;
  /** `no_x2apic_optout` */
  readonly noX2apicOptout: boolean;
  /** `enable_posted_msi` */
  readonly enablePostedMsi: boolean;
  /** `x2apic_phys` */
  readonly x2apicPhys: boolean;
  /** `nox2apic` */
  readonly noX2apic: boolean;
  /** `noapic`: I/O APICs are not set up, and for that reason interrupts are not remapped. */
  readonly skipIoapicSetup: boolean;
  /** `amd_iommu=off`, `iommu=off`: without the IOMMU AMD remaps no interrupts. */
  readonly amdIommuDisabled: boolean;
  /** `amd_iommu_intr=`: `legacy` entries, or guest mode (`vapic`). */
  readonly amdIommuIntr: "legacy" | "vapic";
  /** `amd_iommu=irtcachedis` */
  readonly amdIrtCacheDisabled: boolean;
  /** `vfio_iommu_type1.allow_unsafe_interrupts` */
  readonly allowUnsafeInterrupts: boolean;
  /** `iommufd.allow_unsafe_interrupts` */
  readonly iommufdAllowUnsafeInterrupts: boolean;
  /** `kvm_intel.enable_device_posted_irqs`, `kvm_amd.enable_device_posted_irqs` */
  readonly enableDevicePostedIrqs: boolean;
  /** `kvm_intel.enable_apicv`, `kvm_amd.avic` */
  readonly enableApicv: boolean;
  /** `kvm.vector_hashing` */
  readonly vectorHashing: boolean;
}

/** The kernel's variables after a command line was read by a release, as `major.minor`. */
export function parseCommandLine(text: string, release: string): KernelParameters {
  const { flags } = readCommandLine(text, release);
  const isSet = (flag: string): boolean => flags[flag] === true;
  const isCleared = (flag: string): boolean => flags[flag] === false;
  return {
    disableIrqRemap: isSet("disable_irq_remap"),
    disableIrqPost: isSet("disable_irq_post"),
    disableSourceidChecking: isSet("disable_sourceid_checking"),
    noX2apicOptout: isSet("no_x2apic_optout"),
    enablePostedMsi: isSet("enable_posted_msi"),
    x2apicPhys: isSet("x2apic_phys"),
    noX2apic: flags["x2apic_state"] === "X2APIC_DISABLED",
    skipIoapicSetup: isSet("skip_ioapic_setup"),
    amdIommuDisabled: isSet("amd_iommu_disabled") || isSet("no_iommu"),
    amdIommuIntr: flags["amd_iommu_guest_ir"] === "AMD_IOMMU_GUEST_IR_LEGACY_GA" ? "legacy" : "vapic",
    amdIrtCacheDisabled: isSet("amd_iommu_irtcachedis"),
    allowUnsafeInterrupts: isSet("vfio_iommu_type1.allow_unsafe_interrupts"),
    iommufdAllowUnsafeInterrupts: isSet("iommufd.allow_unsafe_interrupts"),
    enableDevicePostedIrqs:
      !isCleared("kvm_intel.enable_device_posted_irqs") && !isCleared("kvm_amd.enable_device_posted_irqs"),
    enableApicv: !isCleared("kvm_intel.enable_apicv") && !isCleared("kvm_amd.avic"),
    vectorHashing: !isCleared("kvm.vector_hashing"),
  };
}
