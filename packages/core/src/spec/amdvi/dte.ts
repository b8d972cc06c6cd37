import { cite } from "../cite.ts";
import { type BitRange, bit, bits, layout, maskOf, scattered } from "../layout.ts";

/** Bytes of one device table entry. */
export const dteBytes = 32;

/** The largest legal IntTabLen: 2^11 entries. */
export const maxIntTabLen = 11;

/** Values of IntCtl. */
export const IntCtl = { abort: 0, pass: 1, remap: 2, reserved: 3 } as const;

/**
 * A device table entry. Its interrupt fields lie in bits 191:128; of the others those that are certain are named, and
 * the rest is not judged, because later revisions have given meaning to bits that were reserved.
 */
export const dte = layout({
  name: "amdvi-dte",
  title: "Device Table Entry",
  width: 256,
  section: cite("amdvi", "2.2.2.1"),
  fields: {
    v: bit(0, "Valid"),
    tv: bit(1, "Translation Information Valid"),
    had: bits(8, 7, "Host Access/Dirty"),
    mode: bits(11, 9, "Paging Mode"),
    root: bits(51, 12, "Host Page Table Root Pointer", { scale: 12 }),
    ppr: bit(52, "PPR Enable"),
    gprp: bit(53, "Guest PPR Response with PASID"),
    giov: bit(54, "Guest I/O Protection Valid"),
    gv: bit(55, "Guest Translation Valid"),
    glx: bits(57, 56, "Guest Levels Translated"),
    gcr3: scattered(
      [
        [60, 58],
        [95, 80],
        [127, 107],
      ],
      "Guest CR3 Table Root Pointer",
      { scale: 12 },
    ),
    ir: bit(61, "I/O Read Permission"),
    iw: bit(62, "I/O Write Permission"),
    domainid: bits(79, 64, "Domain ID"),
    i: bit(96, "IOTLB Enable"),
    se: bit(97, "Suppress I/O Page Fault Events"),
    sa: bit(98, "Suppress All I/O Page Fault Events"),
    ioctl: bits(100, 99, "Port I/O Control"),
    cache: bit(101, "IOTLB Cache Hint"),
    sd: bit(102, "Snoop Disable"),
    ex: bit(103, "Allow Exclusion"),
    sysmgt: bits(105, 104, "System Management Message Enable"),
    iv: bit(128, "Interrupt Map Valid", { linux: "DTE_IRQ_REMAP_ENABLE" }),
    inttablen: bits(132, 129, "Interrupt Table Length, 2^n entries", {
      illegal: { values: [12, 13, 14, 15], rule: "amdvi.dte.inttablen" },
    }),
    ig: bit(133, "Ignore Unmapped Interrupts"),
    inttableptr: bits(179, 134, "Interrupt Table Root Pointer", { scale: 6 }),
    gpm: bits(183, 182, "Guest Paging Mode"),
    initpass: bit(184, "INIT Pass-through"),
    extintpass: bit(185, "ExtINT Pass-through"),
    nmipass: bit(186, "NMI Pass-through"),
    hptmode: bit(187, "Host Page Table Mode"),
    intctl: bits(189, 188, "Interrupt Control", {
      values: { 0: "target abort", 1: "forward unmapped", 2: "remap", 3: "reserved" },
      illegal: { values: [IntCtl.reserved], rule: "amdvi.dte.intctl-reserved" },
    }),
    lint0pass: bit(190, "LINT0 Pass-through"),
    lint1pass: bit(191, "LINT1 Pass-through"),
  },
});

function maskOfAll(ranges: readonly BitRange[]): bigint {
  return ranges.reduce((mask, range) => mask | maskOf(range), 0n);
}

/** What QEMU takes for reserved in a device table entry (qemu.amdvi.dte-reserved). */
export const qemuReserved = maskOfAll([
  [6, 2],
  [63, 63],
  [181, 180],
  [206, 192],
  [245, 240],
]);

/** What QEMU took for reserved before that was mended (qemu.amdvi.dte-reserved-wide). */
export const qemuReservedWide = maskOfAll([
  [7, 2],
  [53, 52],
  [63, 63],
  [72, 72],
  [183, 180],
  [187, 187],
  [255, 192],
]);
