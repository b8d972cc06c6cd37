import { cite } from "../cite.ts";
import { type Rule, erratum, implementationDefined, may, shall } from "../rule.ts";
import { auditRules } from "./audit-rules.ts";

const dmar = cite("linux", "drivers/iommu/intel/dmar.c");
const intelRemapping = cite("linux", "drivers/iommu/intel/irq_remapping.c");
const amdIommu = cite("linux", "drivers/iommu/amd/iommu.c");
const amdInit = cite("linux", "drivers/iommu/amd/init.c");

/** How Linux words what hardware reports, and what it demands of a machine before it remaps interrupts. */
export const linuxRules = {
  "linux.dmar.dma-fault": shall(
    dmar,
    "A fault reason outside 20h to 2Bh concerns a DMA request and no interrupt.",
  ),
  "linux.dmar.posted-fault-as-dma": erratum(
    dmar,
    "Linux names the reasons 20h to 26h only and prints 27h to 2Bh as DMA faults of unknown reason, the index in address bits 63:48.",
    { standing: "inferred" },
  ),
  "linux.dmar.registers-gone": may(
    dmar,
    "Error registers that read as all ones belong to a unit that no longer answers.",
    { standing: "inferred" },
  ),
  "linux.ir.all-ioapics": shall(
    intelRemapping,
    "Linux remaps interrupts only if a remapping unit names every IOAPIC in its device scope.",
  ),
  "linux.ir.not-enabled": implementationDefined(
    cite("linux", "drivers/iommu/irq_remapping.c"),
    "Where remapping cannot be set up Linux goes on without it, and devices can write any interrupt.",
  ),
  "linux.ir.chipset-erratum": erratum(
    cite("linux", "arch/x86/kernel/early-quirks.c"),
    "Host bridges 8086:3403, 3405 and 3406 up to revision 13h, and 3405 revision 22h, cannot remap interrupts.",
  ),
  "linux.ir.multi-msi-alignment": shall(
    intelRemapping,
    "The entries of a function with several MSI vectors are one block, aligned to its size.",
  ),
  "linux.ir.single-msi-data": shall(intelRemapping, "The data of a remapped MSI with one vector is zero."),
  "linux.ioapic.pin-as-vector": implementationDefined(
    cite("linux", "arch/x86/kernel/apic/io_apic.c"),
    "Behind remapping Linux writes the pin where a redirection entry has its vector, and its entries are edge-triggered.",
  ),
  "linux.vector.owner": shall(
    cite("linux", "arch/x86/kernel/irq.c"),
    "An interrupt that arrives on a processor is that of the irq to which Linux gave its vector there.",
  ),
  "linux.vector.unassigned": implementationDefined(
    cite("linux", "arch/x86/kernel/irq.c"),
    "An interrupt whose vector Linux gave to nobody on the processor is ended and reported, and no handler runs.",
  ),
  "linux.irq.unhandled": implementationDefined(
    cite("linux", "kernel/irq/chip.c"),
    "An interrupt of an irq without a handler is ended and masked.",
  ),
  "linux.debugfs.row-disagrees": shall(
    cite("linux", "drivers/iommu/intel/debugfs.c"),
    "The columns of a row of ir_translation_struct are fields of the entry that the same row shows.",
  ),
  "linux.amdvi.dma-fault": shall(
    amdIommu,
    "An event with I=0 outside the interrupt range concerns a DMA request and no interrupt.",
  ),
  "linux.amdvi.illegal-device-entry": shall(
    cite("amdvi", "2.5.2"),
    "An interrupt whose device table entry has reserved bits or values is blocked and logged; the event does not say which.",
  ),
  "linux.amdvi.other-event": may(
    cite("amdvi", "2.5"),
    "The event concerns the IOMMU itself, not an interrupt.",
  ),
  "linux.amdvi.ioapic-in-ivrs": shall(
    amdInit,
    "Linux remaps interrupts only if the IVRS names every IOAPIC, the south bridge's at 00:14.0.",
  ),
  "qemu.ir.kernel-irqchip": shall(
    cite("qemu", "11.1 hw/i386/x86-iommu.c"),
    "Interrupt remapping needs the IOAPIC in QEMU: kernel-irqchip is split or off.",
  ),
  "qemu.ir.route-not-remapped": implementationDefined(
    cite("qemu", "11.1 target/i386/kvm/kvm.c"),
    "A KVM route whose message cannot be remapped is not set up, and the guest sees no fault.",
  ),
  ...auditRules,
} as const satisfies Record<string, Rule>;
