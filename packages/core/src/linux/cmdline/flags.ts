import { type Releases, within } from "../../hardware/call-stack.ts";

/** What a variable of the kernel holds: the name of an enumerator where it is no truth value. */
export type Flag = boolean | string;

/** Variables of the kernel by its own names; a module's parameter is `module.parameter`. */
export type Flags = Readonly<Record<string, Flag>>;

/** The variables whose initial value does not hang on the kernel's configuration, and the releases that have them. */
const initial: Readonly<Record<string, { readonly value: Flag; readonly releases?: Releases }>> = {
  disable_irq_remap: { value: false },
  disable_irq_post: { value: false, releases: { from: "4.2" } },
  disable_sourceid_checking: { value: false },
  no_x2apic_optout: { value: false },
  enable_posted_msi: { value: false, releases: { from: "6.10" } },
  x2apic_phys: { value: false },
  x2apic_state: { value: "X2APIC_OFF" },
  skip_ioapic_setup: { value: false },
  no_iommu: { value: false },
  amd_iommu_disabled: { value: false },
  amd_iommu_guest_ir: { value: "AMD_IOMMU_GUEST_IR_VAPIC" },
  amd_iommu_irtcachedis: { value: false, releases: { from: "6.5" } },
};

/** Before a command line is read. CONFIG_IRQ_REMAP, CONFIG_X86_POSTED_MSI and both IOMMU drivers are built in. */
export function initialFlags(release: string): Record<string, Flag> {
  return Object.fromEntries(
    Object.entries(initial)
      .filter(([, { releases }]) => releases === undefined || within(release, releases))
      .map(([name, { value }]) => [name, value]),
  );
}
