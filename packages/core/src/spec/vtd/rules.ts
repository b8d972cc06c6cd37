import { cite } from "../cite.ts";
import { type Rule, erratum, implementationDefined, may, shall } from "../rule.ts";
import { checkRules } from "./check-rules.ts";

/** Faults of one request: each stands in the table of `faults.ts` beside its reason code. */
const requestRules = {
  "vtd.ir.request-reserved": shall(
    cite("vtd", "5.1.4.1"),
    "A remappable request whose reserved fields are not zero is blocked.",
  ),
  "vtd.ir.index-out-of-range": shall(
    cite("vtd", "5.1.4.1"),
    "A request whose interrupt index lies beyond the table's 2^(S+1) entries is blocked.",
  ),
  "vtd.ir.not-present": shall(cite("vtd", "5.1.4.1"), "A request whose entry has P=0 is blocked."),
  "vtd.ir.table-access": shall(
    cite("vtd", "5.1.4.1"),
    "A request is blocked when reading its entry from the table ends in an error.",
  ),
  "vtd.ir.entry-reserved": shall(
    cite("vtd", "5.1.4.1"),
    "A request is blocked when reserved fields of its present entry are set or a field is programmed with a reserved value.",
  ),
  "vtd.ir.compatibility-blocked": shall(
    cite("vtd", "5.1.4"),
    "With remapping on, a compatibility-format request passes only while EIME is 0 and CFIS is 1.",
  ),
  "vtd.ir.sid-mismatch": shall(
    cite("vtd", "5.1.4.1"),
    "A request whose requester fails the entry's source-id verification is blocked, on cache hits too.",
  ),
  "vtd.post.descriptor-access": shall(
    cite("vtd", "5.2.3"),
    "A request through a posted entry is blocked when its descriptor cannot be accessed.",
  ),
  "vtd.post.descriptor-reserved": shall(
    cite("vtd", "5.2.3"),
    "A request through a posted entry is blocked when reserved fields of its descriptor are set.",
  ),
  "vtd.ir.malformed-request": shall(
    cite("vtd", "3.14"),
    "Only an aligned 4-byte write without PASID to FEEx_xxxxh is an interrupt request; other requests to the range are blocked.",
  ),
  "vtd.ir.eim-required": shall(
    cite("vtd", "5.1.4"),
    "Where ECAP.EIMER is 1, every request is blocked while remapping is on with EIME at 0.",
  ),
  "vtd.ir.remapping-required": shall(
    cite("vtd", "5.1.4"),
    "Where ECAP.IRREQ is 1, every request is blocked while remapping is off.",
  ),
  "vtd.ir.pass-through": shall(
    cite("vtd", "5.1.4"),
    "While remapping is off, interrupt requests are handled as compatibility format and pass unchanged.",
  ),
  "vtd.ir.compatibility-pass": shall(
    cite("vtd", "5.1.4"),
    "With remapping on, EIME at 0 and CFIS at 1, a compatibility-format request passes unchanged.",
  ),
  "vtd.ir.remap": shall(
    cite("vtd", "5.1.4"),
    "A verified request is delivered with the attributes of its entry, its level taken as asserted.",
  ),
  "vtd.ir.fpd": shall(
    cite("vtd", "5.1.4.1"),
    "FPD suppresses the record of a fault that is found once the entry has been read, whatever its P says.",
  ),
  "vtd.ir.svt-reserved": implementationDefined(
    cite("vtd", "9.9"),
    "SVT=11b is a reserved value; the model reports it as a reserved field of the entry (24h).",
    { standing: "unsettled" },
  ),
} as const satisfies Record<string, Rule>;

const entryRules = {
  "vtd.irte.reserved": shall(cite("vtd", "9.9"), "Reserved bits of an IRTE are zero."),
  "vtd.irte.posted-reserved": shall(cite("vtd", "9.10"), "Reserved bits of a posted IRTE are zero."),
  "vtd.irte.mode-unsupported": shall(
    cite("vtd", "9.9"),
    "The IM bit of an IRTE is reserved where CAP.PI is 0.",
  ),
  "vtd.irte.xapic-destination": shall(
    cite("vtd", "9.9"),
    "With EIME=0 the destination id lies in bits 47:40 and bits 39:32 and 63:48 are zero.",
  ),
  "vtd.irte.delivery-mode": shall(
    cite("vtd", "9.9"),
    "Delivery modes 011b and 110b of an IRTE are reserved.",
  ),
  "vtd.irte.smi-vector": shall(cite("vtd", "9.9"), "The vector of an IRTE that delivers an SMI is zero."),
  "vtd.irte.svt": shall(cite("vtd", "9.9"), "SVT=11b of an IRTE is reserved."),
  "vtd.irte.descriptor-address": shall(
    cite("vtd", "9.10"),
    "Descriptor address bits at and above the host address width are zero.",
  ),
  "vtd.pid.reserved": shall(
    cite("vtd", "9.11"),
    "Bits 271:258 and 287:280 of a posted-interrupt descriptor are zero; bits 511:320 are software's.",
  ),
  "vtd.pid.xapic-destination": shall(
    cite("vtd", "9.11"),
    "With EIME=0 the notification destination lies in bits 303:296 and bits 295:288 and 319:304 are zero.",
  ),
} as const satisfies Record<string, Rule>;

const postingRules = {
  "vtd.post.atomic": shall(
    cite("vtd", "5.2.3"),
    "Setting PIR[VV] and ON is one atomic read-modify-write of the descriptor, which is never cached.",
  ),
  "vtd.post.notify": shall(
    cite("vtd", "5.2.3"),
    "A notification is sent when ON was 0 and the interrupt is urgent or SN is 0; ON is set with it.",
  ),
  "vtd.post.coalesced": shall(
    cite("vtd", "5.2.3"),
    "While ON is 1, further posts set PIR only and send no notification.",
  ),
  "vtd.post.suppressed": shall(
    cite("vtd", "5.2.3"),
    "While SN is 1, a post that is not urgent sets PIR only and leaves ON alone.",
  ),
  "vtd.post.edge": shall(
    cite("vtd", "5.2.3"),
    "An interrupt through a posted entry is edge-triggered, whatever its source says.",
  ),
} as const satisfies Record<string, Rule>;

const cacheRules = {
  "vtd.iec.present-cached": may(
    cite("vtd", "6.2.1"),
    "Hardware may cache present entries, tagged by their index, until software invalidates them.",
  ),
  "vtd.iec.not-present-cached": may(
    cite("vtd", "6.1"),
    "Where CAP.CM is 1, hardware may cache not-present and faulty entries too.",
  ),
  "vtd.iec.line-fetch": erratum(
    cite("vtd", "6.1"),
    "A unit that fetches 64-byte lines was seen to keep a line's not-present neighbours with CAP.CM at 0.",
    { standing: "inferred" },
  ),
  "vtd.iec.sid-not-cached": shall(
    cite("vtd", "6.2.1"),
    "Source-id verification is made anew for each request, on a cached entry too.",
  ),
  "vtd.iec.invalidate": shall(
    cite("vtd", "6.5.2.7"),
    "Index-selective invalidation drops the 2^IM entries that share the index without its low IM bits; global drops all.",
  ),
  "vtd.iec.global-after-sirtp": shall(
    cite("vtd", "5.1.3"),
    "After SIRTP software invalidates the interrupt-entry cache globally, unless CAP.ESIRTPS is 1.",
  ),
  "vtd.iec.drain": shall(
    cite("vtd", "6.5.2.7"),
    "An invalidation completes only after requests that were accepted under the old entry have been delivered.",
  ),
  "vtd.memory.incoherent": may(
    cite("vtd", "11.4 ECAP_REG.C"),
    "Where ECAP.C is 0, hardware reads the tables behind the CPU's cache.",
  ),
} as const satisfies Record<string, Rule>;

const registerRules = {
  "vtd.gcmd.one-bit": shall(
    cite("vtd", "11.4 GCMD_REG"),
    "A write to GCMD changes one bit of the status only; software waits for GSTS before the next.",
  ),
  "vtd.gcmd.sirtp-while-enabled": implementationDefined(
    cite("vtd", "11.4 GCMD_REG"),
    "SIRTP latches IRTA; requests in flight may be remapped by the old table or the new one.",
  ),
  "vtd.gcmd.ire-before-sirtp": shall(
    cite("vtd", "11.4 GCMD_REG"),
    "Software sets the table pointer through SIRTP before it enables remapping.",
  ),
  "vtd.gcmd.unsupported": implementationDefined(
    cite("vtd", "11.4 GCMD_REG"),
    "A command whose capability is not reported is ignored.",
  ),
  "vtd.gcmd.qie-restart": shall(
    cite("vtd", "6.5.2"),
    "Enabling the queue resets its head to zero; with a tail that is not zero, fetching starts at once.",
  ),
  "vtd.irta.latched": shall(
    cite("vtd", "11.4 IRTA_REG"),
    "A write to IRTA takes effect with the next SIRTP; until then it is only what the register reads.",
  ),
  "vtd.irta.eime-change": shall(
    cite("vtd", "11.4 IRTA_REG"),
    "Software does not change EIME while remapping is on.",
  ),
  "vtd.irta.alignment": shall(
    cite("vtd", "11.4 IRTA_REG"),
    "The table starts on a 4 KiB boundary, and on a multiple of its size if it is larger.",
  ),
  "vtd.register.reserved": shall(cite("vtd", "11.4"), "Reserved bits of a register are zero."),
  "vtd.register.access": shall(
    cite("vtd", "11.2"),
    "Registers are accessed in aligned units of 32 or 64 bits.",
  ),
} as const satisfies Record<string, Rule>;

const queueRules = {
  "vtd.qi.invalid-tail": shall(cite("vtd", "11.4 IQERCD_REG"), "A tail beyond the queue stops it (IQEI 1)."),
  "vtd.qi.fetch-error": shall(
    cite("vtd", "11.4 IQERCD_REG"),
    "An error while a descriptor is fetched stops the queue (IQEI 2).",
  ),
  "vtd.qi.invalid-type": shall(
    cite("vtd", "11.4 IQERCD_REG"),
    "A descriptor type that the unit or its mode does not know stops the queue (IQEI 3).",
  ),
  "vtd.qi.reserved": shall(
    cite("vtd", "11.4 IQERCD_REG"),
    "A descriptor with reserved bits or an unsupported mask stops the queue (IQEI 4).",
  ),
  "vtd.qi.width": shall(
    cite("vtd", "11.4 IQERCD_REG"),
    "A descriptor width that the unit's mode does not allow stops the queue (IQEI 5).",
  ),
  "vtd.qi.tail-alignment": shall(
    cite("vtd", "11.4 IQERCD_REG"),
    "With 256-bit descriptors a tail with bit 4 set stops the queue (IQEI 6).",
  ),
  "vtd.qi.halt": shall(
    cite("vtd", "6.5.2"),
    "While FSTS.IQE is 1 no descriptor is fetched; the head stays at the one in error.",
  ),
  "vtd.qi.wait-status": shall(
    cite("vtd", "6.5.2.8"),
    "A wait descriptor with SW=1 writes its data once every earlier descriptor has completed.",
  ),
  "vtd.qi.wait-interrupt": shall(
    cite("vtd", "6.5.2.8"),
    "A wait descriptor with IF=1 sets ICS.IWC, and raises the completion event if IWC was 0.",
  ),
  "vtd.qi.fence": shall(
    cite("vtd", "6.5.2.8"),
    "Descriptors behind a wait with FN=1 start only after it has completed.",
  ),
} as const satisfies Record<string, Rule>;

const faultRules = {
  "vtd.fault.record": shall(
    cite("vtd", "7.2.1"),
    "A fault is written to the record at the current index, its F set, and the index advances round the NFR+1 records.",
  ),
  "vtd.fault.overflow": shall(
    cite("vtd", "7.2.1"),
    "With F still set at the current index the fault is dropped and PFO is set; while PFO is 1 no fault is recorded.",
  ),
  "vtd.fault.compression": may(
    cite("vtd", "7.2.1"),
    "A fault whose source id already stands in a record that software has not cleared may be dropped.",
  ),
  "vtd.fault.event": shall(
    cite("vtd", "7.3"),
    "The fault event is raised when PPF goes from 0 to 1 or another status bit is set; masked, it waits in IP.",
  ),
  "vtd.fault.event-not-remapped": shall(
    cite("vtd", "5.1.6"),
    "The unit's own event messages are not remapped.",
  ),
  "vtd.fault.index-undefined": shall(
    cite("vtd", "11.4 FRCD_REG"),
    "The fault index is undefined for reasons 20h, 25h, 29h, 2Ah and 2Bh.",
  ),
} as const satisfies Record<string, Rule>;

/** What QEMU's VT-d does against the specification: each is one flag of a profile. */
const qemuRules = {
  "qemu.vtd.compatibility-passes": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "Compatibility-format requests always pass; EIME and CFIS are not looked at.",
  ),
  "qemu.vtd.bus-range-swapped": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "SVT=10b takes SID[15:8] as the last bus and SID[7:0] as the first.",
  ),
  "qemu.vtd.format-before-source": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "Reserved fields of the entry are checked before the source id.",
  ),
  "qemu.vtd.request-after-entry": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "Reserved fields of the request's data are checked only after the entry.",
  ),
  "qemu.vtd.index-wraps": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "The interrupt index is computed in 16 bits and wraps.",
  ),
  "qemu.vtd.index-unbounded": erratum(
    cite("qemu", "7.2 hw/i386/intel_iommu.c"),
    "The interrupt index is not held against the table's size; 7.2.22 does.",
  ),
  "qemu.vtd.destination-masked": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "With EIME=0 the destination is cut to bits 15:8 and its reserved bits are not checked.",
  ),
  "qemu.vtd.format-unchecked": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "Delivery modes and the SMI's vector are not checked.",
  ),
  "qemu.vtd.posting-ignored": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "The IM bit is not looked at: a posted entry is used as a remapped one.",
  ),
  "qemu.vtd.faults-not-recorded": erratum(
    cite("qemu", "7.2 hw/i386/intel_iommu.c"),
    "Interrupt-remapping faults are neither recorded nor signalled.",
  ),
  "qemu.vtd.unknown-source-passes": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "Source id FFFFh stands for an unknown requester and skips the verification.",
  ),
  "qemu.vtd.svt-reserved-26h": erratum(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "SVT=11b is reported as a source-id failure (26h).",
  ),
  "qemu.vtd.cfi-ignored": erratum(
    cite("qemu", "10.0 hw/i386/intel_iommu.c"),
    "GCMD.CFI does nothing: GSTS.CFIS stays 0.",
  ),
  "qemu.vtd.wait-empty": erratum(
    cite("qemu", "10.0 hw/i386/intel_iommu.c"),
    "A wait descriptor with neither SW nor IF stops the queue.",
  ),
  "qemu.vtd.descriptor-width-ignored": erratum(
    cite("qemu", "10.0 hw/i386/intel_iommu.c"),
    "Without scalable mode neither IQA.DW nor the table mode is looked at: descriptors are of 128 bits.",
  ),
  "qemu.vtd.queue-error-untold": erratum(
    cite("qemu", "10.0 hw/i386/intel_iommu.c"),
    "IQERCD stays 0 when the queue stops.",
  ),
  "qemu.vtd.queue-resumes-at-tail": erratum(
    cite("qemu", "10.0 hw/i386/intel_iommu.c"),
    "A queue that stopped goes on with the next write to its tail, not once FSTS.IQE is cleared.",
  ),
  "qemu.vtd.eime-taken": erratum(
    cite("qemu", "7.2 hw/i386/intel_iommu.c"),
    "IRTA.EIME takes effect although ECAP.EIM is 0.",
  ),
  "qemu.vtd.iec-unchecked": erratum(
    cite("qemu", "7.2 hw/i386/intel_iommu.c"),
    "Reserved bits of an entry-cache invalidation are not checked, its type's upper bits among them.",
  ),
  "qemu.vtd.event-upper-ignored": erratum(
    cite("qemu", "10.0 hw/i386/intel_iommu.c"),
    "The unit's own messages go to the lower 32 bits of their address.",
  ),
  "qemu.vtd.event-pending-kept": erratum(
    cite("qemu", "10.0 hw/i386/intel_iommu.c"),
    "FECTL.IP is not cleared with the last fault record, only by a later write to FSTS.",
  ),
  "qemu.vtd.source-id-compression": may(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "A fault of a source id that a pending record already holds is dropped.",
  ),
  "qemu.vtd.low-bits-kept": may(
    cite("qemu", "11.1 hw/i386/intel_iommu.c"),
    "Address bits 1:0 of the request are kept in the remapped message.",
  ),
} as const satisfies Record<string, Rule>;

export const vtdRules = {
  ...requestRules,
  ...entryRules,
  ...postingRules,
  ...cacheRules,
  ...registerRules,
  ...queueRules,
  ...faultRules,
  ...qemuRules,
  ...checkRules,
};
