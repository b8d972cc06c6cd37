import { fromWords } from "../../spec/codec.ts";
import * as posted from "../../spec/accessors/irte-posted.ts";
import * as irte from "../../spec/accessors/irte-remapped.ts";
import * as requestAddress from "../../spec/accessors/msi-remappable-address.ts";
import * as requestData from "../../spec/accessors/msi-remappable-data.ts";
import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { type FaultReason, faultNameOf, faultReasons } from "../../spec/vtd/faults.ts";
import type { CpuCache } from "../cpu-cache.ts";
import { DeliveryMode, type InterruptFabric, Outcome, unknownRequester } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import { type Memory, physicalAddressLimit } from "../memory.ts";
import type { EntryCache } from "./entry-cache.ts";
import { type VtdFault, faultOf } from "./fault.ts";
import type { FaultLog } from "./fault-log.ts";
import type { VtdProfile } from "./profile.ts";
import { Mode, Tag, Word, cacheBase, cacheStride } from "./state.ts";

const Reason = {
  requestReserved: faultReasons.requestReserved.code,
  indexOutOfRange: faultReasons.indexOutOfRange.code,
  notPresent: faultReasons.notPresent.code,
  tableAccess: faultReasons.tableAccess.code,
  entryReserved: faultReasons.entryReserved.code,
  compatibilityBlocked: faultReasons.compatibilityBlocked.code,
  sidMismatch: faultReasons.sidMismatch.code,
  descriptorAccess: faultReasons.descriptorAccess.code,
  descriptorReserved: faultReasons.descriptorReserved.code,
  malformedRequest: faultReasons.malformedRequest.code,
  eimRequired: faultReasons.eimRequired.code,
  remappingRequired: faultReasons.remappingRequired.code,
} as const;

const allEntries = 65536;
const entriesInLine = 4;
const chunkWordShift = 18;
const chunkWordMask = (1 << chunkWordShift) - 1;

/** Source ids are compared under these masks, by SQ (VT-d 5.10 §9.9). */
const sourceMasks = Int32Array.of(0xffff, 0xfffb, 0xfff9, 0xfff8);

export interface RemapperParts {
  readonly memory: Memory;
  readonly cpuCache: CpuCache | undefined;
  readonly fabric: InterruptFabric;
  readonly cache: EntryCache | undefined;
  readonly faults: FaultLog;
  readonly observer: Observer | null;
  readonly profile: VtdProfile;
  /** ECAP.C=1: reading the table snoops the CPU's cache. */
  readonly coherent: boolean;
}

/**
 * The ten-step decision on one interrupt request (VT-d 5.10 §5.1.4), over the unit's state. This is the hot path:
 * int32 in, a small integer out, nothing allocated unless the request is blocked.
 */
export class Remapper {
  readonly #state: Int32Array;
  readonly #parts: RemapperParts;
  readonly #memory: Memory;
  readonly #fabric: InterruptFabric;
  readonly #observer: Observer | null;
  /** The words that the entry being decided on lies in: the state (a cached copy) or a chunk of memory. */
  #words: Int32Array;

  constructor(state: Int32Array, parts: RemapperParts) {
    this.#state = state;
    this.#parts = parts;
    this.#memory = parts.memory;
    this.#fabric = parts.fabric;
    this.#observer = parts.observer;
    this.#words = state;
  }

  interrupt(address: number, data: number, requester: number): Outcome {
    const mode = this.#state[Word.mode]!;
    if (this.#observer !== null) this.#observer.record(eventKinds.request, requester, address, data, 0, 0, 0);
    if ((mode & Mode.ires) === 0) return this.#whileOff(mode, address, data, requester);
    // vtd.ir.eim-required
    if ((mode & (Mode.eimRequired | Mode.eime)) === Mode.eimRequired) {
      return this.#block(Reason.eimRequired, address, data, requester, 0);
    }
    if (requestAddress.format(address) === 0) return this.#compatibility(mode, address, data, requester);
    let index = requestAddress.handle(address);
    if (requestAddress.shv(address) !== 0) {
      // vtd.ir.request-reserved
      if ((data & requestData.RESERVED_0) !== 0 && (mode & Mode.requestAfterEntry) === 0) {
        return this.#block(Reason.requestReserved, address, data, requester, 0);
      }
      index += requestData.subhandle(data);
    }
    // vtd.ir.index-out-of-range
    if (index >= this.#state[Word.entries]!) {
      if ((mode & Mode.indexWraps) !== 0) index &= 0xffff;
      if (index >= this.#state[Word.entries]! && (mode & Mode.indexUnbounded) === 0) {
        return this.#block(Reason.indexOutOfRange, address, data, requester, index);
      }
    }
    return this.#decide(mode, index, address, data, requester);
  }

  /** Any access to the interrupt range that is not an interrupt request. */
  malformed(address: number, requester: number): Outcome {
    // vtd.ir.malformed-request
    return this.#block(Reason.malformedRequest, address, 0, requester, 0);
  }

  /** Steps 6 to 10: the entry is fetched, verified and obeyed. */
  #decide(mode: number, index: number, address: number, data: number, requester: number): Outcome {
    let at: number;
    let badFormat: boolean;
    if ((mode & Mode.cache) !== 0) {
      const slot = cacheBase + index * cacheStride;
      if (this.#state[slot] === 0) return this.#decideUncached(mode, index, address, data, requester);
      this.#words = this.#state;
      at = slot + 1;
      badFormat = (this.#state[slot]! & Tag.badFormat) !== 0;
      if (this.#observer !== null) this.#observeEntry(index, 1, at);
    } else {
      at = this.#fetch(index);
      if (at < 0) return this.#block(Reason.tableAccess, address, data, requester, index);
      badFormat = this.#badFormat(mode, this.#words, at);
      if (this.#observer !== null) this.#observeEntry(index, 0, at);
    }
    return this.#obey(mode, index, at, badFormat, address, data, requester);
  }

  #decideUncached(mode: number, index: number, address: number, data: number, requester: number): Outcome {
    const at = this.#fetch(index);
    // vtd.ir.table-access
    if (at < 0) return this.#block(Reason.tableAccess, address, data, requester, index);
    const words = this.#words;
    const badFormat = this.#badFormat(mode, words, at);
    this.#keep(mode, index, words, at, badFormat);
    if (this.#observer !== null) this.#observeEntry(index, 0, at);
    return this.#obey(mode, index, at, badFormat, address, data, requester);
  }

  #obey(
    mode: number,
    index: number,
    at: number,
    badFormat: boolean,
    address: number,
    data: number,
    requester: number,
  ): Outcome {
    const words = this.#words;
    // vtd.ir.not-present
    if (irte.p(words, at) === 0) return this.#blockEntry(Reason.notPresent, address, data, requester, index, at);
    // vtd.ir.sid-mismatch, evaluated on cache hits too (vtd.iec.sid-not-cached)
    const source = this.#sourceFault(mode, words[at + irte.SID_WORD]!, requester);
    // vtd.ir.entry-reserved; QEMU looks at it first (qemu.vtd.format-before-source)
    if (badFormat && (source === 0 || (mode & Mode.formatBeforeSource) !== 0)) {
      return this.#blockEntry(Reason.entryReserved, address, data, requester, index, at);
    }
    if (source !== 0) return this.#blockEntry(source, address, data, requester, index, at);
    // qemu.vtd.request-after-entry
    if ((mode & Mode.requestAfterEntry) !== 0 && this.#reservedData(address, data)) {
      return this.#block(Reason.requestReserved, address, data, requester, 0);
    }
    if (irte.im(words, at) !== 0 && (mode & Mode.postingIgnored) === 0) {
      return this.#post(mode, index, at, address, data, requester);
    }
    // vtd.ir.remap
    const raw = irte.dst(words, at);
    const destination = (mode & Mode.eime) !== 0 ? raw : (raw >>> 8) & 0xff;
    const logical = irte.dm(words, at);
    const hint = irte.rh(words, at);
    const deliveryMode = irte.dlm(words, at);
    const vector = irte.v(words, at);
    const level = irte.tm(words, at);
    if (this.#observer !== null) {
      this.#observer.record(eventKinds.remapped, destination, logical, hint, deliveryMode, vector, level);
    }
    this.#fabric.deliver(destination, logical, hint, deliveryMode, vector, level);
    return Outcome.remapped;
  }

  /** The reason for which source-id verification blocks the request; 0 if it holds (VT-d 5.10 §9.9, SVT and SQ). */
  #sourceFault(mode: number, source: number, requester: number): number {
    switch ((source >>> 18) & 3) {
      case 0:
        return 0;
      case 1:
        if (((source ^ requester) & sourceMasks[(source >>> 16) & 3]!) === 0) return 0;
        return this.#unverified(mode, requester) ? 0 : Reason.sidMismatch;
      case 2:
        return this.#busFault(mode, source, requester);
      default:
        // vtd.ir.svt-reserved
        if (this.#unverified(mode, requester)) return 0;
        return (mode & Mode.svtReservedAsMismatch) !== 0 ? Reason.sidMismatch : 0;
    }
  }

  #busFault(mode: number, source: number, requester: number): number {
    if (this.#unverified(mode, requester)) return 0;
    const bus = (requester >>> 8) & 0xff;
    const upper = (source >>> 8) & 0xff;
    const lower = source & 0xff;
    const swapped = (mode & Mode.busRangeSwapped) !== 0; // qemu.vtd.bus-range-swapped
    const first = swapped ? lower : upper;
    const last = swapped ? upper : lower;
    return bus >= first && bus <= last ? 0 : Reason.sidMismatch;
  }

  /** The requester is not known, so its id cannot be verified. */
  #unverified(mode: number, requester: number): boolean {
    // qemu.vtd.unknown-source-passes
    return requester === unknownRequester || (requester === 0xffff && (mode & Mode.unknownSourcePasses) !== 0);
  }

  #reservedData(address: number, data: number): boolean {
    return requestAddress.shv(address) !== 0 && (data & requestData.RESERVED_0) !== 0;
  }

  /**
   * Fetches one entry: `#words` and the returned offset say where it lies; -1 is a memory error.
   * It is read in place, as one 128-bit access.
   */
  #fetch(index: number): number {
    const word = this.#state[Word.tableWord]! + index * irte.WORDS;
    const chunk = (this.#state[Word.tableChunk]! + (word >>> chunkWordShift)) | 0;
    const at = word & chunkWordMask;
    if (this.#memory.poisoned || this.#parts.cpuCache !== undefined) {
      const address = (chunk >>> 0) * 2 ** 20 + at * 4;
      // vtd.memory.incoherent
      if (this.#parts.coherent) this.#parts.cpuCache?.flush(address, irte.WORDS * 4);
      if (!this.#memory.readable(address, irte.WORDS * 4)) return -1;
    }
    this.#words = this.#memory.chunk(chunk);
    return at;
  }

  /** Keeps what was fetched, as the profile's cache does. */
  #keep(mode: number, index: number, words: Int32Array, at: number, badFormat: boolean): void {
    const { profile } = this.#parts;
    const cache = this.#parts.cache!;
    if (profile.entryCache === "line") {
      this.#keepLine(mode, index, words, at);
      return;
    }
    // vtd.iec.present-cached, vtd.iec.not-present-cached
    if ((irte.p(words, at) !== 0 && !badFormat) || profile.cachesNotPresent) {
      cache.hold(index, words, at, badFormat ? Tag.badFormat : 0);
    }
  }

  // vtd.iec.line-fetch
  #keepLine(mode: number, index: number, words: Int32Array, at: number): void {
    const first = index - (index % entriesInLine);
    const start = at - (index % entriesInLine) * irte.WORDS;
    for (let i = 0; i < entriesInLine; i++) {
      if (this.#parts.cache!.holds(first + i)) continue;
      const neighbour = start + i * irte.WORDS;
      this.#parts.cache!.hold(first + i, words, neighbour, this.#badFormat(mode, words, neighbour) ? Tag.badFormat : 0);
    }
  }

  /** Tags the held entries anew: their legality depends on EIME. */
  retag(): void {
    const mode = this.#state[Word.mode]!;
    this.#parts.cache?.retag((words, at) => (this.#badFormat(mode, words, at) ? Tag.badFormat : 0));
  }

  /** Whether an entry carries reserved bits or reserved values (VT-d 5.10 §9.9, §9.10). */
  #badFormat(mode: number, words: Int32Array, at: number): boolean {
    const low = words[at]!;
    if ((low & irte.IM_MASK) !== 0 && (mode & Mode.postingIgnored) === 0) return this.#badPostedFormat(mode, words, at);
    if ((low & irte.RESERVED_0) !== 0 || (words[at + 2]! & irte.RESERVED_2) !== 0 || words[at + 3] !== 0) return true;
    // vtd.irte.xapic-destination
    if ((mode & (Mode.eime | Mode.destinationMasked)) === 0 && (words[at + 1]! & irte.RESERVED_EIME_0_1) !== 0) return true;
    if ((mode & Mode.formatUnchecked) !== 0) return false;
    const deliveryMode = irte.dlm(words, at);
    // vtd.irte.smi-vector
    if (deliveryMode === DeliveryMode.smi && irte.v(words, at) !== 0) return true;
    // vtd.irte.delivery-mode, vtd.irte.svt
    return deliveryMode === 3 || deliveryMode === 6 || irte.svt(words, at) === 3;
  }

  #badPostedFormat(mode: number, words: Int32Array, at: number): boolean {
    // vtd.irte.mode-unsupported
    if ((mode & Mode.posting) === 0) return true;
    if ((words[at]! & posted.RESERVED_0) !== 0 || (words[at + 1]! & posted.RESERVED_1) !== 0) return true;
    if ((words[at + 2]! & posted.RESERVED_2) !== 0 || irte.svt(words, at) === 3) return true;
    // vtd.irte.descriptor-address
    return (posted.pdaHigh(words, at) >>> 0) >= 2 ** (this.#parts.profile.hostAddressWidth - 32);
  }

  /** Posts through a descriptor (VT-d 5.10 §5.2.3): one atomic read-modify-write, and a notification if one is due. */
  #post(mode: number, index: number, at: number, address: number, data: number, requester: number): Outcome {
    const words = this.#words;
    const low = posted.pdaLow(words, at);
    const high = posted.pdaHigh(words, at);
    const vector = posted.vv(words, at);
    const number = (high << 12) | (low >>> 20);
    if ((this.#memory.poisoned || this.#parts.cpuCache !== undefined) && !this.#snoop(low, high)) {
      // vtd.post.descriptor-access
      return this.#blockEntry(Reason.descriptorAccess, address, data, requester, index, at);
    }
    const chunk = this.#memory.writableChunk(number);
    const descriptor = (low & 0xfffff) >>> 2;
    const control = chunk[descriptor + pid.ON_WORD]!;
    const target = pid.ndst(chunk, descriptor);
    // vtd.post.descriptor-reserved, vtd.pid.xapic-destination
    if (
      (control & pid.RESERVED_8) !== 0 ||
      ((mode & Mode.eime) === 0 && (target & pid.RESERVED_EIME_0_9) !== 0)
    ) {
      return this.#blockEntry(Reason.descriptorReserved, address, data, requester, index, at);
    }
    chunk[descriptor + (vector >>> 5)]! |= 1 << (vector & 31);
    // vtd.post.coalesced, vtd.post.suppressed, vtd.post.notify
    const notifies = (control & pid.ON_MASK) === 0 && ((control & pid.SN_MASK) === 0 || posted.urg(words, at) !== 0);
    if (this.#observer !== null) {
      this.#observer.record(eventKinds.posted, low, high, vector, notifies ? 1 : 0, posted.urg(words, at), 0);
    }
    if (notifies) {
      chunk[descriptor + pid.ON_WORD] = control | pid.ON_MASK;
      const destination = (mode & Mode.eime) !== 0 ? target : (target >>> 8) & 0xff;
      this.#fabric.deliver(destination, 0, 0, DeliveryMode.fixed, pid.nv(chunk, descriptor), 0);
    }
    return Outcome.posted;
  }

  /** Makes the descriptor's line visible, which is always snooped; false if it cannot be accessed. */
  #snoop(low: number, high: number): boolean {
    const address = (high >>> 0) * 2 ** 32 + (low >>> 0);
    this.#parts.cpuCache?.flush(address, pid.WORDS * 4);
    return this.#memory.readable(address, pid.WORDS * 4);
  }

  #whileOff(mode: number, address: number, data: number, requester: number): Outcome {
    // vtd.ir.remapping-required
    if ((mode & Mode.remappingRequired) !== 0) return this.#block(Reason.remappingRequired, address, data, requester, 0);
    // vtd.ir.pass-through
    return this.#pass(address, data);
  }

  #compatibility(mode: number, address: number, data: number, requester: number): Outcome {
    // vtd.ir.compatibility-pass; QEMU lets all of them through (qemu.vtd.compatibility-passes)
    if ((mode & (Mode.eime | Mode.cfis)) === Mode.cfis || (mode & Mode.compatibilityPasses) !== 0) {
      return this.#pass(address, data);
    }
    // vtd.ir.compatibility-blocked
    return this.#block(Reason.compatibilityBlocked, address, data, requester, 0);
  }

  #pass(address: number, data: number): Outcome {
    if (this.#observer !== null) this.#observer.record(eventKinds.passed, address, data, 0, 0, 0, 0);
    this.#fabric.message(address, 0, data);
    return Outcome.passed;
  }

  #observeEntry(index: number, hit: number, at: number): void {
    const words = this.#words;
    this.#observer!.record(eventKinds.entry, index, hit, words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
  }

  /** Blocks for a reason that FPD of the entry can keep out of the log (vtd.ir.fpd). */
  #blockEntry(reason: number, address: number, data: number, requester: number, index: number, at: number): Outcome {
    const suppressed = irte.fpd(this.#words, at) !== 0;
    for (let i = 0; i < irte.WORDS; i++) this.#state[Word.entry + i] = this.#words[at + i]!;
    return this.#conclude(reason, address, data, requester, index, suppressed);
  }

  #block(reason: number, address: number, data: number, requester: number, index: number): Outcome {
    return this.#conclude(reason, address, data, requester, index, false);
  }

  #conclude(
    reason: number,
    address: number,
    data: number,
    requester: number,
    index: number,
    suppressed: boolean,
  ): Outcome {
    const state = this.#state;
    // qemu.vtd.faults-not-recorded
    const silent = suppressed || (state[Word.mode]! & Mode.faultsNotRecorded) !== 0;
    const recorded = !silent && this.#parts.faults.record(reason, requester, index & 0xffff);
    state[Word.reason] = reason;
    state[Word.requester] = requester;
    state[Word.index] = index;
    state[Word.address] = address;
    state[Word.data] = data;
    state[Word.recorded] = recorded ? 1 : 0;
    if (this.#observer !== null) {
      const { indexed }: FaultReason = faultReasons[faultNameOf(reason)!];
      this.#observer.record(eventKinds.fault, reason, requester, indexed ? index : -1, recorded ? 1 : 0, 0, 0);
    }
    return Outcome.blocked;
  }

  /** Why the last blocked request was blocked; undefined if none was. */
  get fault(): VtdFault | undefined {
    const state = this.#state;
    if (state[Word.reason] === 0) return undefined;
    return faultOf(state[Word.reason]!, {
      requester: state[Word.requester]!,
      index: state[Word.index]!,
      address: state[Word.address]! >>> 0,
      data: state[Word.data]! >>> 0,
      entry: fromWords(state, Word.entry, 128),
      recorded: state[Word.recorded] === 1,
    });
  }
}

/** How many entries of a table can be reached: its size says, and the host address width. */
export function reachableEntries(base: number, entries: number, hostAddressWidth: number): number {
  const end = Math.min(2 ** hostAddressWidth, physicalAddressLimit);
  return Math.max(0, Math.min(entries, allEntries, Math.floor((end - base) / (irte.WORDS * 4))));
}
