import type { Value } from "../../spec/codec.ts";
import type { irteRemapped } from "../../spec/vtd/irte.ts";
import type { MsiMessage } from "../irq/chip.ts";
import type { RequesterTopology } from "../irq/domain.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { FrameWord } from "../posting/words.ts";
import { vmxPosting } from "../posting/vmx-table.ts";
import { type LiveEntry, clearEntry } from "./live-entry.ts";
import { qiFlushIec } from "./queue.ts";
import type { Irq2Iommu } from "./table.ts";

/** `struct irte` as the driver keeps it for the host: fields of the remapped format. */
export type HostEntry = { -readonly [Name in keyof typeof irteRemapped.fields]?: Value };

/** `struct intel_ir_data`: what the driver keeps for an interrupt. */
export interface IntelIrData {
  readonly irq2iommu: Irq2Iommu;
  /** The entry in the table, and what the driver keeps of it. */
  readonly entry: LiveEntry;
  /** The remappable message, composed once: moving the interrupt does not change it. */
  readonly message: MsiMessage;
}

/** SVT */
const verify = { none: 0, source: 1, bus: 2 } as const;
/** SQ */
const qualifier = { all: 0, ignoreFunction: 3 } as const;

/** The entry of an interrupt that the host takes: fixed, edge-triggered whatever the pin, with the hint. */
export function prepareIrte(
  entry: HostEntry,
  target: { readonly vector: number; readonly destination: number; readonly logical: boolean },
): void {
  entry.p = 1;
  entry.dm = target.logical ? 1 : 0;
  entry.tm = 0;
  entry.dlm = 0;
  entry.rh = 1;
  entry.v = target.vector;
  entry.dst = target.destination;
}

/** The entry of an interrupt that goes through a CPU's posted-interrupt descriptor. */
export function prepareIrtePosted(entry: HostEntry): void {
  for (const name of Object.keys(entry) as (keyof HostEntry)[]) delete entry[name];
  entry.p = 1;
  entry.im = 1;
}

function setSource(k: Kernel, entry: HostEntry, svt: number, sq: number, sid: number): void {
  entry.svt = k.parameters.disableSourceidChecking ? verify.none : svt;
  entry.sq = sq;
  entry.sid = sid;
}

function setBusRange(k: Kernel, entry: HostEntry, start: number, end: number): void {
  setSource(k, entry, verify.bus, qualifier.all, (start << 8) | end);
}

export function setIoapicSid(k: Kernel, entry: HostEntry, id: number, requester: number | undefined): void {
  if (requester === undefined) {
    k.log.warn(`DMAR-IR: Failed to set source-id of IOAPIC (${id})`);
    return;
  }
  setSource(k, entry, verify.source, qualifier.all, requester);
}

/** The function number is not checked: platforms are known whose HPET does not tell its own. */
export function setHpetSid(k: Kernel, entry: HostEntry, id: number, requester: number | undefined): void {
  if (requester === undefined) {
    k.log.warn(`DMAR-IR: Failed to set source-id of HPET block (${id})`);
    return;
  }
  setSource(k, entry, verify.source, qualifier.ignoreFunction, requester);
}

/** The source id of a function's MSIs, as far as the ids that bridges and quirks put in its place let it be known. */
export function setMsiSid(k: Kernel, entry: HostEntry, device: RequesterTopology): void {
  const { requester, aliases } = device;
  const own = busOf(requester);
  const last = aliases.at(-1)!;
  if (busOf(last) !== own) {
    if (device.bridgeOwnId === true) setSource(k, entry, verify.source, qualifier.all, last);
    else setBusRange(k, entry, busOf(last), own);
  } else if (aliases.length >= 2 && aliases.every((alias) => busOf(alias) === own)) {
    setBusRange(k, entry, own, own);
  } else setSource(k, entry, verify.source, qualifier.all, requester);
}

function busOf(requester: number): number {
  return requester >> 8;
}

/**
 * Replaces an entry that the unit may be using by the one that is prepared in its frame, and has the unit forget the old
 * one.
 * @returns 0, or a negative errno.
 */
export const modifyIrte = kernelFunction("modify_irte", (_k: Kernel, entry: LiveEntry): number => {
  entry.run(vmxPosting.at["irte-test-format"]);
  return entry.take(FrameWord.value);
});

/** Takes the interrupt's whole block out of the table, once for its first interrupt. */
export const clearEntries = kernelFunction("clear_entries", (k: Kernel, irq2iommu: Irq2Iommu): number => {
  const { iommu, index, mask, subHandle } = irq2iommu;
  if (subHandle !== 0) return 0;
  const end = index + 2 ** mask;
  for (let at = index; at < end; at++) clearEntry(k, iommu, at);
  iommu.table!.release(index, mask);
  return qiFlushIec(k, iommu, index, mask);
});
