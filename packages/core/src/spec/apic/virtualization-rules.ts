import { cite } from "../cite.ts";
import { type Rule, implementationDefined, shall } from "../rule.ts";

const field = { standing: "unverified" } as const;

const vmxRules = {
  "vmx.entry.posted-interrupts": shall(
    cite("sdm", "27.2.1.1"),
    "Processing of posted interrupts requires virtual-interrupt delivery and external-interrupt exiting.",
  ),
  "vmx.entry.acknowledge": shall(
    cite("sdm", "27.2.1.1"),
    "Processing of posted interrupts requires that interrupts are acknowledged on exit.",
    field,
  ),
  "vmx.entry.virtual-delivery": shall(
    cite("sdm", "27.2.1.1"),
    "Virtual-interrupt delivery requires external-interrupt exiting and the TPR shadow.",
    field,
  ),
  "vmx.entry.notification-vector": shall(
    cite("sdm", "27.2.1.1"),
    "Bits 15:8 of the posted-interrupt notification vector are zero.",
    field,
  ),
  "vmx.entry.descriptor-address": shall(
    cite("sdm", "27.2.1.1"),
    "The posted-interrupt descriptor lies on a 64-byte boundary within the physical-address width.",
    field,
  ),
  "vmx.entry.virtual-apic-address": shall(
    cite("sdm", "27.2.1.1"),
    "The virtual-APIC page lies on a 4-KByte boundary within the physical-address width.",
    field,
  ),
  "vmx.entry.pid-pointer-table": shall(
    cite("sdm", "27.2.1.1"),
    "The PID-pointer table lies on an 8-byte boundary, whole within the physical-address width.",
    field,
  ),
  "vmx.tpr.virtualization": shall(
    cite("sdm", "30.1.2"),
    "A virtual TPR write recomputes VPPR and evaluates with virtual-interrupt delivery; without it, a class below the threshold exits.",
  ),
  "vmx.ppr.virtualization": shall(
    cite("sdm", "30.1.3"),
    "VPPR is VTPR where VTPR's class reaches that of SVI, else SVI's class; it is recomputed only on VM entry, TPR and EOI virtualization.",
  ),
  "vmx.eoi.virtualization": shall(
    cite("sdm", "30.1.4"),
    "A virtual EOI clears VISR[SVI], makes the highest remaining VISR bit SVI and recomputes VPPR.",
  ),
  "vmx.eoi.exit": shall(
    cite("sdm", "30.1.4"),
    "A virtual EOI whose vector is set in the EOI-exit bitmap ends in a VM exit with that vector; any other evaluates.",
  ),
  "vmx.self-ipi.virtualization": shall(
    cite("sdm", "30.1.5"),
    "A virtual self-IPI sets VIRR, raises RVI to its vector if that is higher, and evaluates.",
  ),
  "vmx.write.emulation": shall(
    cite("sdm", "30.4.3.2"),
    "Only virtual writes of TPR, EOI and those ICR commands that can be virtualized are emulated; others exit.",
    field,
  ),
  "vmx.ipi.virtualization": shall(
    cite("sdm", "30.1.6"),
    "A virtual physical fixed edge IPI posts to the descriptor that the PID-pointer table names and notifies if ON and SN were 0.",
  ),
  "vmx.ipi.vector": shall(
    cite("sdm", "30.1.6"),
    "An IPI with a vector below 16 is not virtualized: it exits.",
    field,
  ),
  "vmx.ipi.index": shall(
    cite("sdm", "30.1.6"),
    "A destination beyond the last PID-pointer index exits.",
    field,
  ),
  "vmx.ipi.pointer-invalid": shall(cite("sdm", "30.1.6"), "A PID pointer with bit 0 clear exits."),
  "vmx.ipi.pointer-reserved": shall(
    cite("sdm", "30.1.6"),
    "A PID pointer with bits 5:1 or bits beyond the physical-address width set exits.",
    field,
  ),
  "vmx.evaluate": shall(
    cite("sdm", "30.2.1"),
    "A virtual interrupt is recognised when the class of RVI is above the class of VPPR and there is no interrupt-window exiting.",
  ),
  "vmx.deliver": shall(
    cite("sdm", "30.2.2"),
    "Delivery moves RVI from VIRR to VISR and SVI, makes its class VPPR, and the highest VIRR bit left RVI.",
  ),
  "vmx.posted.exit": shall(
    cite("sdm", "30.6"),
    "An external interrupt whose vector is not the notification vector exits as ever.",
  ),
  "vmx.posted.clear-on": shall(
    cite("sdm", "30.6"),
    "The notification clears ON atomically and leaves the rest of the descriptor alone, SN included.",
  ),
  "vmx.posted.eoi": shall(
    cite("sdm", "30.6"),
    "The processor writes EOI to the physical APIC: the notification is gone.",
  ),
  "vmx.posted.harvest": shall(
    cite("sdm", "30.6"),
    "PIR is ORed into VIRR and cleared, atomically for each part; RVI rises to the highest bit moved.",
  ),
  "vmx.posted.evaluate": shall(
    cite("sdm", "30.6"),
    "Posted-interrupt processing ends in an evaluation and no VM exit; a halted guest wakes only if an interrupt is recognised.",
  ),
} as const satisfies Record<string, Rule>;

const postingRules = {
  "vmx.pid.software-post": shall(
    cite("linux", "arch/x86/kvm/vmx/vmx.c"),
    "Software posts by a test-and-set of the PIR bit, then of ON, and notifies only if both were clear; SN does not count.",
  ),
  "vmx.pid.software-harvest": shall(
    cite("linux", "arch/x86/kvm/vmx/vmx.c"),
    "Software clears ON before it collects PIR, so that a post in between sets ON again.",
  ),
} as const satisfies Record<string, Rule>;

const avicRules = {
  "avic.physical.reserved": shall(
    cite("apm", "15.29.4"),
    "Bits 60:52 of a physical APIC ID table entry are zero.",
    field,
  ),
  "avic.logical.reserved": shall(
    cite("apm", "15.29.4"),
    "Bits 30:8 of a logical APIC ID table entry are zero.",
    field,
  ),
  "avic.table.maximum": shall(
    cite("apm", "15.29.4"),
    "The highest index of the physical table is FEh for xAVIC, and 1FFh for x2AVIC or FFFh with the 4K extension.",
  ),
  "avic.ipi.type": shall(
    cite("apm", "15.29.5"),
    "Only fixed edge-triggered IPIs are virtualized; other types exit with code 0.",
  ),
  "avic.ipi.not-running": shall(
    cite("apm", "15.29.5"),
    "The IRR bit of every target is set first; then running targets get the doorbell, and if one was not running the IPI exits with code 1.",
    field,
  ),
  "avic.ipi.target": shall(
    cite("apm", "15.29.5"),
    "An IPI of which one target lies beyond the table or has no valid entry exits with code 2, undelivered.",
    field,
  ),
  "avic.ipi.backing-page": shall(
    cite("apm", "15.29.5"),
    "An IPI to a target whose backing page lies beyond the physical-address width exits with code 3.",
    field,
  ),
  "avic.ipi.vector": shall(cite("apm", "15.29.5"), "An IPI with a vector below 16 exits with code 4.", field),
  "avic.ipi.broadcast": shall(
    cite("apm", "15.29.5"),
    "A broadcast IPI goes to every valid entry of the physical table; entries that are not valid are passed over.",
    field,
  ),
  "avic.ipi.logical": shall(
    cite("apm", "15.29.5"),
    "In xAVIC mode a logical destination is translated bit by bit through the logical table, in x2AVIC mode it names ids itself.",
    field,
  ),
  "avic.doorbell": shall(
    cite("apm", "15.29.3"),
    "A processor that receives a doorbell in guest mode evaluates the IRR of the backing page of its guest.",
    field,
  ),
  "avic.evaluate": shall(
    cite("apm", "15.29.3"),
    "A virtual interrupt is taken when its class is above the class of the virtual PPR.",
    field,
  ),
  "avic.eoi": shall(
    cite("apm", "15.29.3"),
    "A virtual EOI clears the highest ISR bit; that of a level-triggered interrupt is not accelerated and exits.",
    field,
  ),
  "avic.host-interrupt": implementationDefined(
    cite("linux", "arch/x86/kvm/svm/avic.c"),
    "A doorbell to a processor that runs no guest is lost; the IRR bit waits for the next entry.",
    field,
  ),
} as const satisfies Record<string, Rule>;

export const virtualizationRules = { ...vmxRules, ...postingRules, ...avicRules };
