import { cite } from "../cite.ts";
import { type Rule, erratum, implementationDefined, may, shall } from "../rule.ts";

const inferred = { standing: "inferred" } as const;
const unverified = { standing: "unverified" } as const;

const intelRemapping = cite("linux", "drivers/iommu/intel/irq_remapping.c");
const amdIommu = cite("linux", "drivers/iommu/amd/iommu.c");
const amdInit = cite("linux", "drivers/iommu/amd/init.c");
const vectors = cite("linux", "arch/x86/kernel/apic/vector.c");
const postedDescriptors = cite("linux", "arch/x86/kvm/vmx/posted_intr.c");

const firmwareRules = {
  "linux.ir.dmar-flag": shall(
    intelRemapping,
    "Linux remaps interrupts only if INTR_REMAP of the DMAR table is 1.",
  ),
  "audit.dmar.scopes-overlap": shall(
    cite("vtd", "8.3.1"),
    "A function, an IOAPIC or an HPET stands in the device scope of one unit.",
    inferred,
  ),
  "audit.dmar.x2apic-opt-out": implementationDefined(
    cite("vtd", "8.1"),
    "With X2APIC_OPT_OUT the firmware asks to stay in xAPIC mode, which addresses at most 255 processors.",
  ),
  "audit.ivrs.special-twice": shall(
    cite("amdvi", "5.2"),
    "An IOAPIC or an HPET stands in one IVHD block, under one DeviceID.",
    inferred,
  ),
  "audit.device.covered": shall(
    cite("vtd", "8.3"),
    "A function whose interrupts are to be remapped belongs to a unit.",
    inferred,
  ),
} as const satisfies Record<string, Rule>;

const setupRules = {
  "linux.ir.all-units": shall(
    intelRemapping,
    "Linux remaps interrupts only if every active unit can (ECAP.IR), and says nothing where one cannot.",
  ),
  "linux.ir.extended-mode": shall(
    intelRemapping,
    "Linux uses x2APIC mode only if every unit has 32-bit destinations (ECAP.EIM).",
  ),
  "linux.ir.nosid": implementationDefined(
    intelRemapping,
    "With intremap=nosid SVT is 0 in every entry, and VFIO still takes interrupts as isolated.",
  ),
  "linux.ir.taken-over": implementationDefined(
    intelRemapping,
    "A kernel that finds remapping on, from the kernel before it, takes the table over (kdump) or turns it off first.",
  ),
  "linux.vfio.isolated": shall(
    cite("linux", "drivers/vfio/vfio_iommu_type1.c"),
    "VFIO hands a function to a user only where interrupts are remapped, unless it is told to allow unsafe interrupts.",
  ),
  "linux.vfio.unsafe-interrupts": implementationDefined(
    cite("linux", "drivers/vfio/vfio_iommu_type1.c"),
    "With allow_unsafe_interrupts a function is handed to a user although it can then write any interrupt.",
  ),
  "linux.amdvi.cache-disabled": implementationDefined(
    amdInit,
    "With amd_iommu=irtcachedis Linux does not invalidate interrupt table entries; hardware that caches them all the same uses stale ones.",
  ),
  "linux.amdvi.snp-no-guest-mode": implementationDefined(
    amdInit,
    "With SNP Linux forces guest mode of the IOMMU off: interrupts of passed-through devices are not posted.",
  ),
  "linux.posted-msi.clobbered-entry": erratum(
    intelRemapping,
    "Before 688124cc541f (2025) a kernel with posted_msi takes a posted entry away from its vCPU when the host moves the interrupt.",
    unverified,
  ),
  "linux.posted-msi.retrigger": erratum(
    intelRemapping,
    "Before 0edc78b82bea (December 2025) a kernel with posted_msi cannot send an interrupt again that arrived while it was moved.",
    unverified,
  ),
  "linux.amdvi.remapen-lost": erratum(
    amdIommu,
    "Linux 5.8.8 to the end of 5.8 and 5.9-rc lose RemapEn of an entry when they switch it to guest mode.",
    unverified,
  ),
  "audit.unit.extended-mode": shall(
    cite("vtd", "5.1.2.1"),
    "Entries have 32-bit destinations (EIME) where the local APICs are in x2APIC mode.",
    inferred,
  ),
} as const satisfies Record<string, Rule>;

const entryRules = {
  "audit.entry.stale": shall(
    cite("vtd", "5.1.4"),
    "A present entry belongs to an interrupt: one that was freed, or was never given away, lets its source send what nobody waits for.",
    inferred,
  ),
  "audit.entry.absent-source": shall(
    cite("vtd", "5.1.4"),
    "The source id of a present entry is that of a function, an IOAPIC or an HPET of the machine, or of a bridge before one.",
    inferred,
  ),
  "audit.entry.shared": shall(
    intelRemapping,
    "An entry belongs to one interrupt: two that use it cannot be told apart, moved or freed by themselves.",
    inferred,
  ),
  "audit.entry.torn": shall(
    cite("vtd", "5.1.4"),
    "The two halves of a present entry were written together: software changes a live entry at once, or clears P first.",
    inferred,
  ),
  "audit.entry.as-allocated": shall(
    vectors,
    "An entry carries the vector that the kernel gave its interrupt, and goes to the processor on which it did.",
    inferred,
  ),
  "audit.entry.destination": shall(
    cite("sdm", "11.6.2"),
    "The destination of an entry is one that an online processor answers to.",
    inferred,
  ),
  "linux.vector.placeholder": implementationDefined(
    vectors,
    "An interrupt that nobody has requested is sent to vector EFh, which has no handler.",
  ),
  "linux.vector.exhaustion": implementationDefined(
    vectors,
    "A processor has about 200 vectors for devices; an interrupt that finds none free is not set up.",
  ),
  "audit.table.exhaustion": implementationDefined(
    intelRemapping,
    "A remapping table has a fixed number of entries; an interrupt that finds none free is not set up.",
  ),
  "audit.message.as-written": shall(
    cite("linux", "kernel/irq/msi.c"),
    "The message in a function's capability is the one that the kernel wrote there last.",
    inferred,
  ),
  "linux.ir.in-hierarchy": shall(
    intelRemapping,
    "While remapping is on, the hierarchy of a device's interrupt has the unit's domain, and its chip a name that begins with IR-.",
    inferred,
  ),
  "audit.dte.table-shared": shall(
    amdIommu,
    "Functions use one interrupt table only where their requests carry one id: as aliases of each other.",
    inferred,
  ),
} as const satisfies Record<string, Rule>;

const postingRules = {
  "audit.post.live-descriptor": shall(
    cite("vtd", "5.2.3"),
    "A posted entry names the descriptor of a vCPU that exists, or of a processor: hardware writes to whatever memory lies there.",
    inferred,
  ),
  "audit.post.alignment": shall(
    cite("vtd", "9.11"),
    "A posted-interrupt descriptor starts on a 64-byte boundary.",
  ),
  "audit.post.vector": shall(
    postedDescriptors,
    "A vCPU's descriptor notifies with F2h, with F1h while the vCPU is halted; a processor's with EBh.",
  ),
  "audit.post.destination": shall(
    cite("vtd", "5.2.3"),
    "The destination of a notification is an online processor, and a processor's own descriptor names itself.",
    inferred,
  ),
  "audit.post.unannounced": shall(
    postedDescriptors,
    "A descriptor with interrupts in PIR has ON set, or SN: otherwise nobody was told of them.",
    inferred,
  ),
  "linux.kvm.not-posted": may(
    cite("kvm", "arch/x86/kvm/irq.c"),
    "An interrupt of a passed-through function is posted where unit, processor and kernel can and its route names one vCPU.",
  ),
} as const satisfies Record<string, Rule>;

/** What a host is to look like while it remaps and posts interrupts. */
export const auditRules = {
  ...firmwareRules,
  ...setupRules,
  ...entryRules,
  ...postingRules,
} as const satisfies Record<string, Rule>;
