import * as irte from "../../spec/accessors/irte-remapped.ts";
import { faultReasons } from "../../spec/vtd/faults.ts";
import { unknownRequester } from "../delivery.ts";
import { Mode } from "./state.ts";

/** By SQ, the bits in which source ids are compared (VT-d 5.10 §9.9). */
const comparedBits = Int32Array.of(0xffff, 0xfffb, 0xfff9, 0xfff8);

/**
 * Source-id verification (vtd.ir.sid-mismatch), from the word of an entry that holds SID, SQ and SVT.
 * @returns the reason that blocks the request, 0 if it passes or cannot be verified.
 */
export function sourceFault(mode: number, source: number, requester: number): number {
  switch (irte.svtOf(source)) {
    case 0:
      return 0;
    case 1:
      return ((source ^ requester) & comparedBits[irte.sqOf(source)]!) === 0 ? 0 : mismatch(mode, requester);
    case 2:
      return busInRange(mode, source, requester) ? 0 : mismatch(mode, requester);
    default:
      // vtd.ir.svt-reserved: a matter of the entry's format; qemu.vtd.svt-reserved-26h
      return (mode & Mode.svtReservedAsMismatch) !== 0 ? mismatch(mode, requester) : 0;
  }
}

/** Whether the requester's bus lies between the two that SID names (SVT=10b). */
export function busInRange(mode: number, source: number, requester: number): boolean {
  const bus = (requester >>> 8) & 0xff;
  const upper = (source >>> 8) & 0xff;
  const lower = source & 0xff;
  // qemu.vtd.bus-range-swapped
  return (mode & Mode.busRangeSwapped) === 0 ? bus >= upper && bus <= lower : bus >= lower && bus <= upper;
}

/** An unknown requester cannot fail the verification (for QEMU, qemu.vtd.unknown-source-passes). */
function mismatch(mode: number, requester: number): number {
  const unknown =
    requester === unknownRequester || (requester === 0xffff && (mode & Mode.unknownSourcePasses) !== 0);
  return unknown ? 0 : faultReasons.sidMismatch.code;
}

/** SID in bits 15:0 and, above it, the bits in which a requester must agree: those that SQ names where SVT=01b, else none. */
export function comparable(source: number): number {
  const compared = irte.svtOf(source) === 1 ? comparedBits[irte.sqOf(source)]! : 0;
  return irte.sidOf(source) | (compared << 16);
}
