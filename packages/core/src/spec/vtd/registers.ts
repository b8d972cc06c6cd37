import { cite } from "../cite.ts";
import { type Layout, bit, bits, layout } from "../layout.ts";
import type { Access, Register } from "../register.ts";

const reserved = "vtd.register.reserved";

function section(register: string): string {
  return cite("vtd", `11.4 ${register}_REG`);
}

export const version = layout({
  name: "vtd-version",
  title: "Version Register",
  width: 32,
  section: section("VER"),
  fields: { min: bits(3, 0, "Minor version"), max: bits(7, 4, "Major version") },
});

export const capability = layout({
  name: "vtd-capability",
  title: "Capability Register",
  width: 64,
  section: section("CAP"),
  fields: {
    nd: bits(2, 0, "Number of Domains, 2^(4+2N)"),
    rwbf: bit(4, "Required Write-Buffer Flushing"),
    plmr: bit(5, "Protected Low-Memory Region"),
    phmr: bit(6, "Protected High-Memory Region"),
    cm: bit(7, "Caching Mode"),
    sagaw: bits(12, 8, "Supported Adjusted Guest Address Widths"),
    mgaw: bits(21, 16, "Maximum Guest Address Width, less one"),
    zlr: bit(22, "Zero-Length Read"),
    fro: bits(33, 24, "Fault-Recording Register Offset, in 16 bytes"),
    sslps: bits(37, 34, "Second-Stage Large Page Support"),
    psi: bit(39, "Page-Selective Invalidation"),
    nfr: bits(47, 40, "Number of Fault-Recording Registers, less one"),
    mamv: bits(53, 48, "Maximum Address Mask Value"),
    dwd: bit(54, "Write Draining"),
    drd: bit(55, "Read Draining"),
    fs1gp: bit(56, "First-Stage 1-GByte Pages"),
    pi: bit(59, "Posted Interrupts Support"),
    fs5lp: bit(60, "First-Stage 5-Level Paging"),
    ecmds: bit(61, "Enhanced Command Support"),
    esirtps: bit(62, "Enhanced Set Interrupt Remap Table Pointer"),
    esrtps: bit(63, "Enhanced Set Root Table Pointer"),
  },
});

export const extendedCapability = layout({
  name: "vtd-extended-capability",
  title: "Extended Capability Register",
  width: 64,
  section: section("ECAP"),
  fields: {
    c: bit(0, "Page-walk Coherency"),
    qi: bit(1, "Queued Invalidation"),
    dt: bit(2, "Device-TLB"),
    ir: bit(3, "Interrupt Remapping"),
    eim: bit(4, "Extended Interrupt Mode (x2APIC)"),
    pt: bit(6, "Pass Through"),
    sc: bit(7, "Snoop Control"),
    iro: bits(17, 8, "IOTLB Register Offset, in 16 bytes"),
    mhmv: bits(23, 20, "Maximum Handle Mask Value"),
    mts: bit(25, "Memory Type Support"),
    nest: bit(26, "Nested Translation"),
    prs: bit(29, "Page Request Support"),
    srs: bit(31, "Supervisor Request Support"),
    nwfs: bit(33, "No Write Flag Support"),
    eafs: bit(34, "Extended Accessed Flag Support"),
    pss: bits(39, 35, "PASID Size Supported"),
    pasid: bit(40, "Process Address Space ID Support"),
    dit: bit(41, "Device-TLB Invalidation Throttle"),
    pds: bit(42, "Page-request Drain Support"),
    smts: bit(43, "Scalable Mode Translation Support"),
    vcs: bit(44, "Virtual Command Support"),
    ssads: bit(45, "Second-Stage Accessed/Dirty Support"),
    ssts: bit(46, "Second-Stage Translation Support"),
    fsts: bit(47, "First-Stage Translation Support"),
    smpwcs: bit(48, "Scalable-Mode Page-walk Coherency"),
    rps: bit(49, "RID-PASID Support"),
    tdxcs: bit(50, "TDX Connect Support"),
    pms: bit(51, "Performance Monitoring Support"),
    adms: bit(52, "Abort DMA Mode Support"),
    rprivs: bit(53, "RID_PRIV Support"),
    hpts: bit(55, "HPT Support"),
    ptrs: bit(56, "Pre-Translated Requests Support"),
    ssirws: bit(57, "Snoop-not-set Read/Write Support"),
    sms: bit(58, "Stop Marker Support"),
    hpt1gps: bit(59, "HPT 1-GByte Pages Support"),
    rdts: bit(60, "RMRR/Reserved-region Device Trust Support"),
    eimer: bit(61, "Extended Interrupt Mode Required"),
    irreq: bit(62, "Interrupt Remapping Required"),
  },
});

export const globalCommand = layout({
  name: "vtd-global-command",
  title: "Global Command Register",
  width: 32,
  section: section("GCMD"),
  reserved,
  fields: {
    cfi: bit(23, "Compatibility Format Interrupt"),
    sirtp: bit(24, "Set Interrupt Remap Table Pointer"),
    ire: bit(25, "Interrupt Remapping Enable"),
    qie: bit(26, "Queued Invalidation Enable"),
    wbf: bit(27, "Write Buffer Flush"),
    srtp: bit(30, "Set Root Table Pointer"),
    te: bit(31, "Translation Enable"),
  },
});

export const globalStatus = layout({
  name: "vtd-global-status",
  title: "Global Status Register",
  width: 32,
  section: section("GSTS"),
  fields: {
    cfis: bit(23, "Compatibility Format Interrupt Status"),
    irtps: bit(24, "Interrupt Remapping Table Pointer Status"),
    ires: bit(25, "Interrupt Remapping Enable Status"),
    qies: bit(26, "Queued Invalidation Enable Status"),
    wbfs: bit(27, "Write Buffer Flush Status"),
    rtps: bit(30, "Root Table Pointer Status"),
    tes: bit(31, "Translation Enable Status"),
  },
});

export const rootTableAddress = layout({
  name: "vtd-root-table-address",
  title: "Root Table Address Register",
  width: 64,
  section: section("RTADDR"),
  reserved,
  fields: {
    ttm: bits(11, 10, "Translation Table Mode", { values: { 0: "legacy", 1: "scalable", 3: "abort-dma" } }),
    rta: bits(63, 12, "Root Table Address", { scale: 12 }),
  },
});

export const faultStatus = layout({
  name: "vtd-fault-status",
  title: "Fault Status Register",
  width: 32,
  section: section("FSTS"),
  fields: {
    pfo: bit(0, "Primary Fault Overflow"),
    ppf: bit(1, "Primary Pending Fault"),
    iqe: bit(4, "Invalidation Queue Error"),
    ice: bit(5, "Invalidation Completion Error"),
    ite: bit(6, "Invalidation Time-out Error"),
    fri: bits(15, 8, "Fault Record Index"),
  },
});

/** FECTL and IECTL: control of one of the unit's own events. */
export const eventControl = layout({
  name: "vtd-event-control",
  title: "Event Control Register",
  width: 32,
  section: section("FECTL"),
  fields: { ip: bit(30, "Interrupt Pending"), im: bit(31, "Interrupt Mask") },
});

/** FEDATA and IEDATA. */
export const eventData = layout({
  name: "vtd-event-data",
  title: "Event Data Register",
  width: 32,
  section: section("FEDATA"),
  fields: {
    imd: bits(15, 0, "Interrupt Message Data"),
    eimd: bits(31, 16, "Extended Interrupt Message Data"),
  },
});

/** FEADDR and IEADDR. */
export const eventAddress = layout({
  name: "vtd-event-address",
  title: "Event Address Register",
  width: 32,
  section: section("FEADDR"),
  reserved,
  fields: { ma: bits(31, 2, "Message Address", { scale: 2 }) },
});

/** FEUADDR and IEUADDR. */
export const eventUpperAddress = layout({
  name: "vtd-event-upper-address",
  title: "Event Upper Address Register",
  width: 32,
  section: section("FEUADDR"),
  fields: { mua: bits(31, 0, "Message Upper Address") },
});

export const queueHead = layout({
  name: "vtd-queue-head",
  title: "Invalidation Queue Head Register",
  width: 64,
  section: section("IQH"),
  fields: { qh: bits(18, 4, "Queue Head, byte offset", { scale: 4 }) },
});

export const queueTail = layout({
  name: "vtd-queue-tail",
  title: "Invalidation Queue Tail Register",
  width: 64,
  section: section("IQT"),
  reserved,
  fields: { qt: bits(18, 4, "Queue Tail, byte offset", { scale: 4 }) },
});

export const queueAddress = layout({
  name: "vtd-queue-address",
  title: "Invalidation Queue Address Register",
  width: 64,
  section: section("IQA"),
  reserved,
  fields: {
    qs: bits(2, 0, "Queue Size, 2^QS pages"),
    dw: bit(11, "Descriptor Width", { values: { 0: "128 bits", 1: "256 bits" } }),
    iqa: bits(63, 12, "Queue Base Address", { scale: 12 }),
  },
});

export const completionStatus = layout({
  name: "vtd-completion-status",
  title: "Invalidation Completion Status Register",
  width: 32,
  section: section("ICS"),
  fields: { iwc: bit(0, "Invalidation Wait Descriptor Complete") },
});

export const queueError = layout({
  name: "vtd-queue-error",
  title: "Invalidation Queue Error Record Register",
  width: 64,
  section: section("IQERCD"),
  fields: {
    iqei: bits(3, 0, "Invalidation Queue Error Info", {
      values: {
        0: "none",
        1: "invalid tail",
        2: "fetch error",
        3: "invalid descriptor type",
        4: "reserved bits",
        5: "descriptor width",
        6: "tail misaligned",
        7: "translation table mode mismatch",
      },
    }),
    itesid: bits(47, 32, "Invalidation Time-out Error Source Identifier"),
    icesid: bits(63, 48, "Invalidation Completion Error Source Identifier"),
  },
});

export const tableAddress = layout({
  name: "vtd-table-address",
  title: "Interrupt Remapping Table Address Register",
  width: 64,
  section: section("IRTA"),
  reserved,
  fields: {
    s: bits(3, 0, "Size, 2^(S+1) entries"),
    eime: bit(11, "Extended Interrupt Mode Enable"),
    irta: bits(63, 12, "Interrupt Remapping Table Address", { scale: 12 }),
  },
});

export const faultRecord = layout({
  name: "vtd-fault-record",
  title: "Fault Recording Register",
  width: 128,
  section: section("FRCD"),
  fields: {
    fi: bits(63, 12, "Fault Info"),
    sid: bits(79, 64, "Source Identifier"),
    t2: bit(92, "Type bit 2"),
    priv: bit(93, "Privilege Mode Requested"),
    exe: bit(94, "Execute Permission Requested"),
    pp: bit(95, "PASID Present"),
    fr: bits(103, 96, "Fault Reason"),
    pv: bits(123, 104, "PASID Value"),
    at: bits(125, 124, "Address Type"),
    t1: bit(126, "Type bit 1"),
    f: bit(127, "Fault"),
  },
});

/** Fault Info of an interrupt fault: the index stands in its upper 16 bits. */
export const interruptFaultInfo = layout({
  name: "vtd-interrupt-fault-info",
  title: "Fault Info of an interrupt request",
  width: 64,
  section: section("FRCD"),
  fields: { index: bits(63, 48, "Interrupt index") },
});

function register(
  offset: number,
  width: 32 | 64,
  access: Access,
  layout: Layout,
  fixed: readonly string[] = [],
): Register {
  return { offset, width, access, title: layout.title, layout, fixed };
}

/** The register file (§11.4), by the names that Linux's `iommu_regset` prints. FRCD starts at CAP.FRO. */
export const registers = {
  VER: register(0x00, 32, "RO", version),
  CAP: register(0x08, 64, "RO", capability),
  ECAP: register(0x10, 64, "RO", extendedCapability),
  GCMD: register(0x18, 32, "WO", globalCommand),
  GSTS: register(0x1c, 32, "RO", globalStatus),
  RTADDR: register(0x20, 64, "RW", rootTableAddress),
  CCMD: { offset: 0x28, width: 64, access: "RW", title: "Context Command Register" },
  FSTS: register(0x34, 32, "RW1C", faultStatus, ["ppf", "fri"]),
  FECTL: register(0x38, 32, "RW", eventControl, ["ip"]),
  FEDATA: register(0x3c, 32, "RW", eventData),
  FEADDR: register(0x40, 32, "RW", eventAddress),
  FEUADDR: register(0x44, 32, "RW", eventUpperAddress),
  PMEN: { offset: 0x64, width: 32, access: "RW", title: "Protected Memory Enable Register" },
  PLMBASE: { offset: 0x68, width: 32, access: "RW", title: "Protected Low Memory Base Register" },
  PLMLIMIT: { offset: 0x6c, width: 32, access: "RW", title: "Protected Low Memory Limit Register" },
  PHMBASE: { offset: 0x70, width: 64, access: "RW", title: "Protected High Memory Base Register" },
  PHMLIMIT: { offset: 0x78, width: 64, access: "RW", title: "Protected High Memory Limit Register" },
  IQH: register(0x80, 64, "RO", queueHead),
  IQT: register(0x88, 64, "RW", queueTail),
  IQA: register(0x90, 64, "RW", queueAddress),
  ICS: register(0x9c, 32, "RW1C", completionStatus),
  IECTL: register(0xa0, 32, "RW", eventControl, ["ip"]),
  IEDATA: register(0xa4, 32, "RW", eventData),
  IEADDR: register(0xa8, 32, "RW", eventAddress),
  IEUADDR: register(0xac, 32, "RW", eventUpperAddress),
  IQERCD: register(0xb0, 64, "RO", queueError),
  IRTA: register(0xb8, 64, "RW", tableAddress),
} as const satisfies Record<string, Register>;

export type RegisterName = keyof typeof registers;
