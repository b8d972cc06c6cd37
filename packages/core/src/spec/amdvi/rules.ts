import { cite } from "../cite.ts";
import { type Rule, erratum, implementationDefined, may, shall } from "../rule.ts";
import { checkRules } from "./check-rules.ts";

const remapping = cite("amdvi", "2.2.5");
const tables = cite("amdvi", "2.2.2.1");
const entries = cite("amdvi", "2.2.5.2");
const guest = cite("amdvi", "2.2.5.3");
const commands = cite("amdvi", "2.4");
const events = cite("amdvi", "2.5");
const guestLog = cite("amdvi", "2.7");
const registers = cite("amdvi", "3.4");

/** What becomes of one interrupt request; the faults among them stand in the table of `faults.ts`. */
const requestRules = {
  "amdvi.ir.disabled": shall(remapping, "While IommuEn is 0, interrupt requests pass unchanged."),
  "amdvi.ir.requester-unknown": implementationDefined(
    remapping,
    "A request whose DeviceID is not known has no device table entry; the model blocks it without an event.",
    { standing: "inferred" },
  ),
  "amdvi.ir.malformed-request": shall(
    events,
    "A read, or a write that is no interrupt message, in the interrupt address range is an invalid device request.",
    { standing: "unverified" },
  ),
  "amdvi.ir.map-invalid": shall(
    tables,
    "While IV is 0 in its device's entry, an interrupt request passes unchanged.",
  ),
  "amdvi.ir.type-filtered": shall(
    remapping,
    "NMI, INIT and ExtINT messages pass only where NMIPass, INITPass or ExtIntPass says so, and are aborted elsewhere.",
  ),
  "amdvi.ir.type-passes": shall(
    remapping,
    "NMI, INIT and ExtINT messages pass unchanged where their pass bit is 1, whatever IntCtl says.",
  ),
  "amdvi.ir.smi-passes": shall(
    remapping,
    "An SMI message is subject to the SMI filter alone, and passes where the unit has none.",
  ),
  "amdvi.ir.type-reserved": shall(remapping, "A message of a reserved interrupt type is aborted."),
  "amdvi.ir.type-logical": shall(
    remapping,
    "A message that is neither fixed nor arbitrated has physical destination mode; with DM=1 it is aborted.",
  ),
  "amdvi.ir.index-512": shall(
    remapping,
    "With 512 interrupts a device only fixed and arbitrated messages are remapped, so that the index has 9 usable bits.",
  ),
  "amdvi.ir.index-2048": shall(
    remapping,
    "With 2048 interrupts a device the type bits of a message with DM=1 belong to its index.",
    { standing: "inferred" },
  ),
  "amdvi.ir.intctl-abort": shall(tables, "With IntCtl=00b fixed and arbitrated messages are aborted."),
  "amdvi.ir.intctl-pass": shall(tables, "With IntCtl=01b fixed and arbitrated messages pass unchanged."),
  "amdvi.ir.index-out-of-range": shall(
    remapping,
    "A message whose index lies beyond the table's 2^IntTabLen entries is an I/O page fault.",
  ),
  "amdvi.ir.table-access": shall(
    events,
    "A message is blocked when reading its entry from the interrupt table ends in an error.",
    { standing: "unverified" },
  ),
  "amdvi.ir.not-enabled": shall(entries, "A message whose entry has RemapEn=0 is an I/O page fault."),
  "amdvi.ir.remap": shall(
    remapping,
    "A remapped interrupt takes destination, destination mode, type and vector from its entry.",
  ),
  "amdvi.ir.hint": implementationDefined(
    remapping,
    "The redirection hint of a remapped interrupt is the request's.",
    { standing: "inferred" },
  ),
  "amdvi.ir.trigger": implementationDefined(
    remapping,
    "A remapped interrupt is level-triggered where its request is, or where the entry asks for an EOI (RqEoi).",
    { standing: "inferred" },
  ),
  "amdvi.ir.log-suppressed": shall(
    tables,
    "IG in the device's entry, or SupIOPF in the interrupt's, keeps its I/O page faults out of the event log.",
  ),
} as const satisfies Record<string, Rule>;

const deviceRules = {
  "amdvi.dte.out-of-range": shall(
    tables,
    "A request whose DeviceID lies beyond the device table is blocked as an illegal entry.",
    { standing: "unverified" },
  ),
  "amdvi.dte.access": shall(
    events,
    "A request is blocked when reading its device table entry ends in an error.",
  ),
  "amdvi.dte.inttablen": shall(tables, "IntTabLen is 0 to 11; 12 to 15 make the device table entry illegal."),
  "amdvi.dte.intctl-reserved": shall(tables, "IntCtl=11b makes the device table entry illegal."),
  "amdvi.dte.valid-gates": implementationDefined(
    tables,
    "With V=0 in its device's entry an interrupt request passes, whatever IV says; other readings look at IV alone.",
    { standing: "unsettled" },
  ),
} as const satisfies Record<string, Rule>;

const entryRules = {
  "amdvi.irte.reserved": shall(entries, "Reserved bits of an interrupt table entry are zero."),
  "amdvi.irte.int-type": shall(
    entries,
    "IntType of an interrupt table entry is fixed (0) or arbitrated (1).",
  ),
  "amdvi.irte.guest-mode": shall(
    entries,
    "GuestMode of an interrupt table entry is 0 unless GAEn and GAMEn turn guest mode on.",
  ),
  "amdvi.irte.xapic-destination": shall(
    entries,
    "With XTEn=0 the destination lies in bits 15:8 of a 128-bit entry and its other bits are zero.",
    { standing: "inferred" },
  ),
} as const satisfies Record<string, Rule>;

const guestRules = {
  "amdvi.ga.post": shall(
    guest,
    "A message through a guest-mode entry sets its vector in the IRR of the vAPIC backing page.",
  ),
  "amdvi.ga.doorbell": shall(
    guest,
    "With IsRun=1 a posted interrupt rings the doorbell of the entry's destination.",
  ),
  "amdvi.ga.log": shall(
    guest,
    "With IsRun=0 and GALogIntr=1 a posted interrupt writes its GATag and DeviceID to the guest virtual APIC log.",
  ),
  "amdvi.ga.not-cached": shall(
    guest,
    "IsRun, Destination and GATag of a guest-mode entry are read anew for each message.",
  ),
  "amdvi.ga.log-request-not-cached": implementationDefined(
    guest,
    "GALogIntr is read anew for each message too: Linux changes it with IsRun and does not invalidate.",
    { standing: "inferred" },
  ),
  "amdvi.ga.page-access": shall(
    guest,
    "A message through a guest-mode entry is blocked when its backing page cannot be accessed.",
    { standing: "unverified" },
  ),
  "amdvi.galog.overflow": shall(
    guestLog,
    "With the guest log full an entry is dropped, GALogOverflow is set, GALogRun cleared and the interrupt raised.",
  ),
  "amdvi.galog.restart": shall(
    guestLog,
    "A guest log that overflowed runs again once software has cleared GALogOverflow and set GALogEn anew.",
  ),
  "amdvi.galog.interrupt": shall(
    guestLog,
    "A guest log entry sets GALogInt and raises the interrupt if GAIntEn is 1.",
  ),
  "amdvi.galog.tail-address": shall(
    guestLog,
    "The unit copies the tail of the guest log to the memory that the tail address register names.",
    { standing: "unverified" },
  ),
} as const satisfies Record<string, Rule>;

const cacheRules = {
  "amdvi.cache.interrupt-table": may(
    entries,
    "Hardware may keep entries of a device's interrupt table until INVALIDATE_INTERRUPT_TABLE names the device.",
  ),
  "amdvi.cache.device-table": may(
    tables,
    "Hardware may keep device table entries until INVALIDATE_DEVTAB_ENTRY names the device.",
  ),
  "amdvi.cache.disabled": shall(registers, "While IRTCacheDis is 1, interrupt table entries are not kept."),
} as const satisfies Record<string, Rule>;

const commandRules = {
  "amdvi.command.illegal": shall(
    commands,
    "An opcode that the unit does not know is logged as ILLEGAL_COMMAND_ERROR and stops the command buffer at it.",
  ),
  "amdvi.command.reserved": shall(
    commands,
    "A command with reserved bits set is logged as ILLEGAL_COMMAND_ERROR and stops the command buffer at it.",
    { standing: "inferred" },
  ),
  "amdvi.command.read-error": shall(
    commands,
    "An error while a command is read is logged as COMMAND_HARDWARE_ERROR and stops the command buffer at it.",
  ),
  "amdvi.command.restart": shall(
    commands,
    "A stopped command buffer runs again once software has set CmdBufEn anew.",
  ),
  "amdvi.command.completion-store": shall(
    commands,
    "COMPLETION_WAIT with s=1 stores its data once earlier commands have completed.",
  ),
  "amdvi.command.completion-interrupt": shall(
    commands,
    "COMPLETION_WAIT with i=1 sets ComWaitInt, and raises the interrupt if ComWaitIntEn is 1.",
  ),
} as const satisfies Record<string, Rule>;

const eventRules = {
  "amdvi.event.log": shall(
    events,
    "An event is written at the tail of the running event log, 16 bytes each, round its buffer.",
  ),
  "amdvi.event.overflow": shall(
    events,
    "With the event log full an event is dropped, EventOverflow is set, EventLogRun cleared and the interrupt raised.",
  ),
  "amdvi.event.restart": shall(
    events,
    "An event log that overflowed runs again once software has cleared EventOverflow and set EvtLogEn anew.",
  ),
  "amdvi.event.interrupt": shall(
    events,
    "A logged event sets EventLogInt and raises the interrupt if EvtIntEn is 1.",
  ),
  "amdvi.event.interrupt-once": implementationDefined(
    events,
    "A status bit that is set already raises no further interrupt until software has cleared it.",
    { standing: "inferred" },
  ),
  "amdvi.event.not-remapped": shall(events, "The unit's own interrupts are not remapped."),
  "amdvi.event.interrupt-address": implementationDefined(
    events,
    "The address of an interrupt's event is the message in the HyperTransport interrupt range FD_F8xx_xxxxh.",
    { standing: "inferred" },
  ),
} as const satisfies Record<string, Rule>;

const registerRules = {
  "amdvi.register.reserved": shall(registers, "Reserved bits of a register are zero."),
  "amdvi.register.access": shall(registers, "Registers are accessed in aligned units of 32 or 64 bits."),
  "amdvi.register.base-resets": shall(
    registers,
    "A write to the base of a buffer sets its head and tail to zero.",
  ),
  "amdvi.register.buffer-length": shall(
    registers,
    "The length field of a buffer's base is 8 to 15: 4 KiB to 512 KiB.",
  ),
  "amdvi.register.unsupported": implementationDefined(
    registers,
    "A control bit whose feature is not reported in EFR or EFR2 has no effect.",
    { standing: "inferred" },
  ),
  "amdvi.control.mode-change": implementationDefined(
    registers,
    "A change of GAEn, GAMEn, XTEn or NumIntRemapMode drops what the model keeps of interrupt tables.",
    { standing: "inferred" },
  ),
} as const satisfies Record<string, Rule>;

const source = cite("qemu", "11.1 hw/i386/amd_iommu.c");

/** What QEMU's AMD-Vi does against the specification: each is one flag of a profile. */
const qemuRules = {
  "qemu.amdvi.enable-ignored": erratum(
    source,
    "Remapping starts with the first write to the device table base; IommuEn is not looked at.",
  ),
  "qemu.amdvi.device-table-unbounded": erratum(
    source,
    "The DeviceID is not held against the device table's size.",
  ),
  "qemu.amdvi.dte-reserved": erratum(
    source,
    "Reserved bits anywhere in the device table entry are checked, before IV, and logged with the entry's address.",
  ),
  "qemu.amdvi.dte-reserved-wide": erratum(
    cite("qemu", "10.0 hw/i386/amd_iommu.c"),
    "HAD, the guest paging mode, HPTMode and the entry's last quarter count as reserved in the device table entry.",
  ),
  "qemu.amdvi.pass-zeroed": erratum(
    source,
    "With IntCtl=01b the message that passes has destination 0 and vector 0.",
  ),
  "qemu.amdvi.table-unbounded": erratum(source, "IntTabLen is neither checked nor does it bound the index."),
  "qemu.amdvi.faults-not-logged": erratum(source, "Faults of an interrupt message are not logged."),
  "qemu.amdvi.rqeoi-as-hint": erratum(source, "RqEoi of the entry is used as the redirection hint."),
  "qemu.amdvi.trigger-edge": erratum(
    source,
    "A remapped interrupt is edge-triggered, whatever its request and entry say.",
  ),
  "qemu.amdvi.smi-refused": erratum(source, "SMI messages are blocked."),
  "qemu.amdvi.unknown-requester": erratum(
    source,
    "An unknown requester counts as the south bridge's IOAPIC, 00a0h.",
  ),
  "qemu.amdvi.entry-unchecked": erratum(source, "Reserved bits of an interrupt table entry are not checked."),
  "qemu.amdvi.guest-mode-refused": erratum(source, "A guest-mode entry is an error, whatever GAMEn says."),
  "qemu.amdvi.type-from-data": erratum(
    source,
    "Data bits 10:8 are always the delivery mode: there is no 2048-interrupt mode.",
  ),
  "qemu.amdvi.xt-by-capability": erratum(
    source,
    "The destination is 32 bits wide where EFR reports XTSup, whatever XTEn says.",
  ),
  "qemu.amdvi.commands-continue": erratum(
    source,
    "A command in error is logged and skipped; the buffer does not stop.",
  ),
  "qemu.amdvi.event-log-dead": erratum(
    cite("qemu", "10.0 hw/i386/amd_iommu.c"),
    "No event is ever logged: the log counts as overflowed from the start.",
  ),
  "qemu.amdvi.status-kept": erratum(
    cite("qemu", "10.0 hw/i386/amd_iommu.c"),
    "Writes to the status register do nothing: ComWaitInt stays 1 once it is.",
  ),
  "qemu.amdvi.completion-interrupt": erratum(
    source,
    "COMPLETION_WAIT with i=1 raises the interrupt, whatever ComWaitIntEn says.",
  ),
} as const satisfies Record<string, Rule>;

export const amdviRules = {
  ...requestRules,
  ...deviceRules,
  ...entryRules,
  ...guestRules,
  ...cacheRules,
  ...commandRules,
  ...eventRules,
  ...registerRules,
  ...qemuRules,
  ...checkRules,
};
