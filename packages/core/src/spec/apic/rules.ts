import { cite } from "../cite.ts";
import { type Rule, erratum, implementationDefined, may, shall } from "../rule.ts";
import { virtualizationRules } from "./virtualization-rules.ts";

const field = { standing: "unverified" } as const;

const deliveryRules = {
  "apic.destination.physical": shall(
    cite("sdm", "11.6.2.1"),
    "A physical destination addresses the local APIC whose id it is.",
    field,
  ),
  "apic.destination.broadcast": shall(
    cite("sdm", "11.6.2.1"),
    "Destination FFh addresses every local APIC in xAPIC mode, FFFFFFFFh every one in x2APIC mode.",
  ),
  "apic.destination.flat": shall(
    cite("sdm", "11.6.2.2"),
    "In the flat model a logical destination addresses the APICs whose logical id shares a bit with it.",
  ),
  "apic.destination.cluster": shall(
    cite("sdm", "11.6.2.2"),
    "In the cluster model bits 7:4 of a logical destination name the cluster and bits 3:0 its members.",
  ),
  "apic.destination.width": implementationDefined(
    cite("sdm", "11.12.6"),
    "A logical destination wider than 8 bits addresses no APIC in xAPIC mode.",
    { standing: "inferred" },
  ),
  "apic.destination.x2apic-logical": shall(
    cite("sdm", "11.12.10.1"),
    "In x2APIC mode bits 31:16 of a logical destination name the cluster and bits 15:0 its members.",
  ),
  "apic.destination.lowest-priority": implementationDefined(
    cite("sdm", "11.6.2.4"),
    "A lowest-priority message goes to the one addressed processor with the lowest arbitration priority; the model breaks ties by the lowest id.",
    field,
  ),
  "apic.destination.redirection-hint": shall(
    cite("sdm", "11.11.1"),
    "With RH=1 a message to a logical destination goes to one of the addressed processors.",
    field,
  ),
  "apic.destination.hint-broadcast": implementationDefined(
    cite("sdm", "11.11.1"),
    "RH=1 is not used with a physical broadcast; the model then picks one processor.",
    { standing: "unsettled" },
  ),
  "apic.message.prefix": shall(
    cite("sdm", "11.11.1"),
    "Only a write to FEEx_xxxxh is an interrupt message; address bits 39:32 are zero.",
  ),
  "apic.message.destination": implementationDefined(
    cite("kvm", "KVM_CAP_X2APIC_API"),
    "Address bits 63:40 carry bits 31:8 of a message's destination.",
  ),
  "apic.message.delivery-mode": shall(
    cite("sdm", "11.11.2"),
    "A message with delivery mode 011b or 110b is not delivered.",
    field,
  ),
  "apic.message.level": implementationDefined(
    cite("sdm", "11.11.2"),
    "The level of a message is taken as asserted, whatever its data bit 14 says.",
    { standing: "unsettled" },
  ),
  "apic.accept.disabled": shall(
    cite("sdm", "11.4.7.2"),
    "A software-disabled APIC refuses fixed and lowest-priority interrupts, and takes INIT, NMI, SMI and start-up.",
    field,
  ),
  "apic.accept.globally-disabled": shall(
    cite("sdm", "11.4.3"),
    "A globally disabled APIC takes part in no delivery.",
    field,
  ),
  "apic.accept.fixed": shall(
    cite("sdm", "11.8.4"),
    "An accepted fixed interrupt sets its IRR bit and writes its trigger mode to TMR; a second one before service merges.",
  ),
  "apic.accept.bypass": shall(
    cite("sdm", "11.8.1"),
    "SMI, NMI, INIT, ExtINT and start-up messages bypass IRR and ISR.",
  ),
  "apic.vector.illegal-received": shall(
    cite("sdm", "11.5.2"),
    "A received fixed interrupt with a vector below 16 is not accepted and sets ESR bit 6.",
  ),
  "apic.vector.illegal-sent": shall(
    cite("sdm", "11.5.2"),
    "An interrupt command with a vector below 16 is not sent and sets ESR bit 5.",
  ),
} as const satisfies Record<string, Rule>;

const serviceRules = {
  "apic.priority.processor": shall(
    cite("sdm", "11.8.3.1"),
    "PPR is TPR where TPR's class reaches that of the highest in-service vector, else that vector's class with sub-class 0.",
  ),
  "apic.priority.dispense": shall(
    cite("sdm", "11.8.3.1"),
    "A pending interrupt is dispensed when its class is above the class of PPR.",
  ),
  "apic.acknowledge": shall(
    cite("sdm", "11.8.4"),
    "At acknowledgement the highest pending vector moves from IRR to ISR.",
  ),
  "apic.acknowledge.spurious": shall(
    cite("sdm", "11.9"),
    "An interrupt that has been masked by the time it is acknowledged yields the spurious vector, with no ISR bit.",
    field,
  ),
  "apic.eoi": shall(cite("sdm", "11.8.5"), "A write to EOI clears the highest ISR bit."),
  "apic.eoi.broadcast": shall(
    cite("sdm", "11.8.5"),
    "The EOI of a level-triggered interrupt is broadcast to the I/O APICs, unless SVR bit 12 suppresses it.",
  ),
  "apic.lvt.masked": shall(cite("sdm", "11.5.1"), "A masked LVT entry delivers nothing."),
  "apic.lvt.delivery-mode": shall(
    cite("sdm", "11.5.1"),
    "Delivery modes 1, 3 and 6 of an LVT entry are reserved.",
  ),
  "apic.lvt.remote-irr": shall(
    cite("sdm", "11.5.1"),
    "A level-triggered fixed LINT entry sets its remote IRR when accepted, and delivers no more until the EOI clears it.",
    field,
  ),
  "apic.lvt.performance-mask": implementationDefined(
    cite("sdm", "20.6.2"),
    "Delivering the performance-counter interrupt sets the mask of its LVT entry.",
    field,
  ),
  "apic.lvt.disabled": shall(
    cite("sdm", "11.4.7.2"),
    "While the APIC is software-disabled every LVT entry is masked and cannot be unmasked.",
    field,
  ),
  "apic.timer.mode": shall(cite("sdm", "11.5.4"), "Timer mode 11b is reserved."),
  "apic.timer.count": shall(
    cite("sdm", "11.5.4"),
    "A write of the initial count starts the countdown, zero stops it; a change between one-shot and periodic leaves it running.",
    field,
  ),
  "apic.timer.deadline": shall(
    cite("sdm", "11.5.4.1"),
    "In TSC-deadline mode a non-zero deadline arms the timer; reaching it fires once and clears it; the initial count is ignored.",
    field,
  ),
  "apic.timer.mode-change": shall(
    cite("sdm", "11.5.4.1"),
    "A change to or from TSC-deadline mode disarms the timer.",
    field,
  ),
  "apic.error.latch": shall(
    cite("sdm", "11.5.3"),
    "A write to ESR latches the errors gathered since the write before it, which is what a read then shows.",
    field,
  ),
  "apic.error.interrupt": shall(cite("sdm", "11.5.3"), "An error raises the LVT error interrupt.", field),
  "apic.icr.delivery-mode": shall(
    cite("sdm", "11.6.1"),
    "Delivery modes 011b and 111b of the interrupt command are reserved; such a command is not sent.",
    field,
  ),
  "apic.icr.shorthand": shall(
    cite("sdm", "11.6.1"),
    "A shorthand takes the place of the destination: self, all, or all but self.",
  ),
  "apic.icr.trigger": implementationDefined(
    cite("sdm", "11.6.1"),
    "An interrupt command is edge-triggered whatever its trigger mode; INIT with level 0 and trigger mode 1 is a de-assert and is not sent.",
    field,
  ),
  "apic.icr.destination": shall(
    cite("sdm", "11.12.9"),
    "In xAPIC mode the command's destination is ICR bits 63:56 and the low half sends; in x2APIC mode it is bits 63:32 of one MSR.",
    field,
  ),
  "apic.self-ipi": shall(
    cite("sdm", "11.12.11"),
    "A write to SELF IPI sends an edge-triggered fixed interrupt to the writer.",
  ),
} as const satisfies Record<string, Rule>;

const accessRules = {
  "apic.register.reserved": shall(cite("sdm", "11.4.1"), "Reserved bits of an APIC register are zero."),
  "apic.register.illegal": shall(
    cite("sdm", "11.5.3"),
    "An access to a register that does not exist sets ESR bit 7.",
    field,
  ),
  "apic.register.alignment": implementationDefined(
    cite("sdm", "11.4.1"),
    "Registers are accessed as 32 bits at their 16-byte boundary; the model takes any other offset for one without a register.",
    field,
  ),
  "apic.register.unmapped": implementationDefined(
    cite("sdm", "11.4.3"),
    "Outside xAPIC mode the register page is not decoded: it reads as ones and ignores writes.",
    field,
  ),
  "apic.id.read-only": implementationDefined(
    cite("sdm", "11.4.6"),
    "The APIC id is read-only in x2APIC mode, and in xAPIC mode on processors that choose so; the model's never changes.",
    field,
  ),
  "apic.ldr.derived": shall(
    cite("sdm", "11.12.10.2"),
    "In x2APIC mode LDR is derived from the id: bits 19:4 name the cluster, bits 3:0 the member.",
  ),
  "apic.x2apic.access": shall(
    cite("sdm", "11.12.1.2"),
    "An access to MSRs 800h to 8FFh outside x2APIC mode, to one that does not exist, or against its direction faults with #GP.",
    field,
  ),
  "apic.x2apic.reserved": shall(
    cite("sdm", "11.12.1.3"),
    "In x2APIC mode a write that sets reserved bits, or a value other than zero to EOI or ESR, faults with #GP.",
    field,
  ),
  "apic.base.reserved": shall(
    cite("sdm", "11.4.4"),
    "A write that sets reserved bits of IA32_APIC_BASE faults with #GP.",
    field,
  ),
  "apic.base.invalid-state": shall(
    cite("sdm", "11.12.5"),
    "A write of IA32_APIC_BASE with EXTD=1 and EN=0 faults with #GP.",
    field,
  ),
  "apic.base.transition": shall(
    cite("sdm", "11.12.5"),
    "A step from x2APIC mode back to xAPIC mode, or from disabled straight to x2APIC mode, faults with #GP.",
    field,
  ),
  "apic.base.disable": shall(
    cite("sdm", "11.12.5.1"),
    "Disabling the APIC in IA32_APIC_BASE loses its state; enabling it again finds it as after reset.",
    field,
  ),
  "apic.init": shall(
    cite("sdm", "11.4.7.3"),
    "INIT resets the APIC's registers but keeps its id and its mode.",
    field,
  ),
} as const satisfies Record<string, Rule>;

/** What hypervisors' models of the local APIC do otherwise: each is one option of the fabric. */
const deviationRules = {
  "kvm.apic.vector-hash": may(
    cite("kvm", "vector_hashing"),
    "A lowest-priority message goes to the addressed processor numbered vector modulo their count.",
  ),
  "kvm.apic.illegal-vector-accepted": erratum(
    cite("kvm", "arch/x86/kvm/lapic.c"),
    "Vectors below 16 are sent and accepted like others.",
  ),
  "kvm.apic.narrow-broadcast": erratum(
    cite("kvm", "KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK"),
    "Destination FFh of a device's message addresses the APICs in x2APIC mode too.",
    field,
  ),
  "kvm.apic.extended-destination": implementationDefined(
    cite("kvm", "KVM_FEATURE_MSI_EXT_DEST_ID"),
    "Address bits 11:5 of a message with bits 63:32 and bit 4 at zero are bits 14:8 of its destination.",
  ),
  "qemu.apic.first-match": erratum(
    cite("qemu", "11.1 hw/intc/apic.c"),
    "A lowest-priority message goes to the first processor addressed.",
  ),
  "qemu.apic.redirection-hint-ignored": erratum(
    cite("qemu", "11.1 hw/intc/apic.c"),
    "The redirection hint is not looked at.",
  ),
  "qemu.apic.illegal-vector-accepted": erratum(
    cite("qemu", "11.1 hw/intc/apic.c"),
    "Vectors below 16 are sent and accepted like others.",
  ),
  "qemu.apic.disabled-accepts": erratum(
    cite("qemu", "11.1 hw/intc/apic.c"),
    "A software-disabled APIC still sets IRR; the interrupt shows once it is enabled.",
  ),
  "qemu.apic.logical-broadcast": erratum(
    cite("qemu", "10.0 hw/intc/apic.c"),
    "Logical destination FFh is no broadcast: an APIC whose logical id is 0 is not addressed.",
  ),
  "qemu.apic.extint-requests": erratum(
    cite("qemu", "10.0 hw/intc/apic.c"),
    "An ExtINT message sets the bit of its vector in IRR, as a fixed one does.",
  ),
} as const satisfies Record<string, Rule>;

export const apicRules = {
  ...deliveryRules,
  ...serviceRules,
  ...accessRules,
  ...deviationRules,
  ...virtualizationRules,
};
