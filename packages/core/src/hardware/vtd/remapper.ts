import { fromWords } from "../../spec/codec.ts";
import * as posted from "../../spec/accessors/irte-posted.ts";
import * as irte from "../../spec/accessors/irte-remapped.ts";
import * as requestAddress from "../../spec/accessors/msi-remappable-address.ts";
import * as requestData from "../../spec/accessors/msi-remappable-data.ts";
import { faultNameOf, faultReasonOf, faultReasons } from "../../spec/vtd/faults.ts";
import type { CpuCache } from "../cpu-cache.ts";
import { type InterruptFabric, Outcome } from "../delivery.ts";
import { type Observer, eventKinds } from "../event.ts";
import { type Memory, unwritten } from "../memory.ts";
import type { EntryCache } from "./entry-cache.ts";
import { badFormat, destinationOf, judge, postsThrough } from "./entry-format.ts";
import { type VtdFault, faultOf } from "./fault.ts";
import type { FaultLog } from "./fault-log.ts";
import { Poster, posting } from "./poster.ts";
import type { VtdProfile } from "./profile.ts";
import { busInRange, sourceFault } from "./source-id.ts";
import { Mode, Slot, Tag, Word, irteOf, slotOf } from "./state.ts";

const Reason = {
  requestReserved: faultReasons.requestReserved.code,
  indexOutOfRange: faultReasons.indexOutOfRange.code,
  notPresent: faultReasons.notPresent.code,
  tableAccess: faultReasons.tableAccess.code,
  entryReserved: faultReasons.entryReserved.code,
  compatibilityBlocked: faultReasons.compatibilityBlocked.code,
  malformedRequest: faultReasons.malformedRequest.code,
  eimRequired: faultReasons.eimRequired.code,
  remappingRequired: faultReasons.remappingRequired.code,
} as const;

/** What a request through an entry ends in, unless it is a reason to block it. */
const remapping = 0;

/** What a lawful entry may have that takes more than a fixed, edge-triggered interrupt to one physical destination. */
const unusual = irte.DM_MASK | irte.RH_MASK | irte.TM_MASK | irte.DLM_MASK | Tag.posted | Tag.ranged;

/** The bits of an IRTE's low word that tell the commonest kind of entry from others, and its SQ=00b, SVT=01b. */
const commonBits =
  irte.RESERVED_0 | irte.P_MASK | irte.IM_MASK | irte.DM_MASK | irte.RH_MASK | irte.TM_MASK | irte.DLM_MASK;
const verifiedInFull = 1 << irte.SVT_SHIFT;

const entriesInLine = 4;
const chunkWordShift = 18;
const chunkWordMask = (1 << chunkWordShift) - 1;

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
 * The decision on one interrupt request (VT-d 5.10 §5.1.4), over the unit's state. This is the hot path: int32 in, a
 * small integer out, nothing allocated unless the request is blocked or its entry newly cached.
 */
export class Remapper {
  readonly #state: Int32Array;
  readonly #memory: Memory;
  readonly #cpuCache: CpuCache | undefined;
  readonly #fabric: InterruptFabric;
  readonly #cache: EntryCache | undefined;
  readonly #faults: FaultLog;
  readonly #observer: Observer | null;
  readonly #poster: Poster;
  readonly #profile: VtdProfile;
  readonly #coherent: boolean;
  readonly #descriptorLimit: number;
  /** The chunk of memory in which the last entry was read the long way, which is nearly always the next one's. */
  #held: Int32Array = unwritten;
  #heldNumber = 0;

  constructor(state: Int32Array, parts: RemapperParts) {
    this.#state = state;
    this.#memory = parts.memory;
    this.#cpuCache = parts.cpuCache;
    this.#fabric = parts.fabric;
    this.#cache = parts.cache;
    this.#faults = parts.faults;
    this.#observer = parts.observer;
    this.#poster = new Poster(parts);
    this.#profile = parts.profile;
    this.#coherent = parts.coherent;
    this.#descriptorLimit = 2 ** (parts.profile.hostAddressWidth - 32);
  }

  interrupt(address: number, data: number, requester: number): Outcome {
    // As int32 from here on: a number that is not known to be one costs on each use.
    address |= 0;
    data |= 0;
    requester |= 0;
    const state = this.#state;
    const mode = state[Word.mode]!;
    if ((mode & Mode.swift) !== 0 && requestAddress.format(address) !== 0) {
      // A shortcut to step 10; what it does not see to, the steps below do.
      const subhandle = data & -requestAddress.shv(address);
      const index = (requestAddress.handle(address) + subhandle) | 0;
      // Reserved bits of the data are too large for an index, too.
      if ((index | subhandle) >>> 0 < state[Word.entries]!) {
        const outcome =
          (mode & Mode.cache) !== 0
            ? this.#swiftHit(mode, index, requester)
            : this.#swiftFetch(mode, index, requester);
        if (outcome !== Outcome.blocked) return outcome;
      }
    }
    return this.#decide(mode, address, data, requester);
  }

  /** Steps 1 to 5; the request is kept as evidence. */
  #decide(mode: number, address: number, data: number, requester: number): Outcome {
    const state = this.#state;
    state[Word.request] = address;
    state[Word.request + 1] = data;
    state[Word.request + 2] = requester;
    if (this.#observer !== null) this.#observer.record(eventKinds.request, requester, address, data, 0, 0, 0);
    // Step 1: vtd.ir.remapping-required, vtd.ir.pass-through
    if ((mode & Mode.ires) === 0) {
      return (mode & Mode.remappingRequired) === 0
        ? this.#pass(address, data)
        : this.#block(Reason.remappingRequired, 0);
    }
    // Step 2: vtd.ir.eim-required
    if ((mode & (Mode.eimRequired | Mode.eime)) === Mode.eimRequired)
      return this.#block(Reason.eimRequired, 0);
    // Step 3: vtd.ir.compatibility-pass, vtd.ir.compatibility-blocked; qemu.vtd.compatibility-passes
    if (requestAddress.format(address) === 0) {
      const passes =
        (mode & (Mode.eime | Mode.cfis)) === Mode.cfis || (mode & Mode.compatibilityPasses) !== 0;
      return passes ? this.#pass(address, data) : this.#block(Reason.compatibilityBlocked, 0);
    }
    // Step 4: vtd.ir.request-reserved
    const reservedData = requestAddress.shv(address) !== 0 && (data & requestData.RESERVED_0) !== 0;
    if (reservedData && (mode & Mode.requestAfterEntry) === 0) return this.#block(Reason.requestReserved, 0);
    let index = requestAddress.handle(address);
    if (requestAddress.shv(address) !== 0) index += requestData.subhandle(data);
    // Step 5: vtd.ir.index-out-of-range; qemu.vtd.index-wraps, qemu.vtd.index-unbounded
    if ((mode & Mode.indexWraps) !== 0) index &= 0xffff;
    if (index >= state[Word.entries]! && (mode & Mode.indexUnbounded) === 0) {
      return this.#block(Reason.indexOutOfRange, index);
    }
    const result = this.#obey(mode, index);
    if (result === remapping) return Outcome.remapped;
    return result === posting ? Outcome.posted : this.#block(result, index);
  }

  /** Obeys a held entry if it was found lawful when it was fetched; `blocked` leaves the request to the steps. */
  #swiftHit(mode: number, index: number, requester: number): Outcome {
    const state = this.#state;
    const slot = slotOf(index);
    const prepared = state[slot + Slot.prepared]!;
    const source = state[slot + Slot.source]!;
    // vtd.iec.sid-not-cached
    if ((prepared & Tag.lawful) === 0 || ((source ^ requester) & (source >>> 16)) !== 0)
      return Outcome.blocked;
    if ((prepared & unusual) !== 0) return this.#swiftUnusual(mode, slot, requester);
    // vtd.ir.remap
    this.#fabric.fixed(state[slot + Slot.target]!, irte.vOf(prepared));
    return Outcome.remapped;
  }

  /** The rest of the lawful entries: apart, so that the common ones stay short enough to be compiled in one piece. */
  #swiftUnusual(mode: number, slot: number, requester: number): Outcome {
    const state = this.#state;
    const prepared = state[slot + Slot.prepared]!;
    const target = state[slot + Slot.target]!;
    if ((prepared & Tag.ranged) !== 0 && !busInRange(mode, state[slot + Slot.source]!, requester))
      return Outcome.blocked;
    if ((prepared & Tag.posted) === 0) {
      this.#deliver(target, prepared);
      return Outcome.remapped;
    }
    const urgent = (prepared & Tag.urgent) !== 0;
    const result = this.#poster.post(
      mode,
      target,
      state[slot + Slot.targetHigh]!,
      irte.vOf(prepared),
      urgent,
    );
    return result === posting ? Outcome.posted : Outcome.blocked;
  }

  /**
   * Reads an entry and obeys it if it is of the commonest kind: present, remapped, fixed, edge-triggered, to one physical
   * destination, its source id verified in full. Its four words say so as a whole; `blocked` leaves the rest to the steps.
   */
  #swiftFetch(mode: number, index: number, requester: number): Outcome {
    const word = this.#state[Word.tableWord]! + (index << 2);
    const number = (this.#state[Word.tableChunk]! + (word >>> chunkWordShift)) | 0;
    const words = this.#held;
    if (number !== this.#heldNumber || words === unwritten || this.#guarded) return Outcome.blocked;
    const at = word & chunkWordMask;
    const low = words[at]!;
    const destination = words[at + irte.DST_WORD]!;
    if (
      (low & commonBits) !== irte.P_MASK ||
      words[at + irte.SID_WORD] !== (verifiedInFull | (requester & 0xffff)) ||
      words[at + 3] !== 0 ||
      ((mode & Mode.eime) === 0 && (destination & irte.RESERVED_EIME_0_1) !== 0)
    ) {
      return Outcome.blocked;
    }
    // vtd.ir.remap
    this.#fabric.fixed(destinationOf(mode, destination), irte.vOf(low));
    return Outcome.remapped;
  }

  /** Any access to the interrupt range that is not an interrupt request (vtd.ir.malformed-request). */
  malformed(address: number, requester: number): Outcome {
    this.#state[Word.request] = address;
    this.#state[Word.request + 1] = 0;
    this.#state[Word.request + 2] = requester;
    return this.#block(Reason.malformedRequest, 0);
  }

  /** Steps 6 to 10: `remapping`, `posting`, or the reason to block the request. */
  #obey(mode: number, index: number): number {
    const state = this.#state;
    const slot = slotOf(index);
    const hit = (mode & Mode.cache) !== 0 && state[slot + Slot.prepared] !== 0;
    let words = state;
    let at = irteOf(index);
    if (!hit) {
      // Step 6: the entry is read in place, as one 128-bit access.
      const word = state[Word.tableWord]! + index * irte.WORDS;
      const number = (state[Word.tableChunk]! + (word >>> chunkWordShift)) | 0;
      at = word & chunkWordMask;
      // vtd.ir.table-access
      if (this.#guarded && !this.#readable(number, at)) return Reason.tableAccess;
      words = this.#memory.chunk(number);
      this.#held = words;
      this.#heldNumber = number;
    }
    const low = words[at]!;
    const destination = words[at + irte.DST_WORD]!;
    const source = words[at + irte.SID_WORD]!;
    const bad = hit
      ? (state[slot + Slot.prepared]! & Tag.badFormat) !== 0
      : badFormat(mode, low, destination, source, words[at + 3]!, this.#descriptorLimit);
    if (!hit && (mode & Mode.cache) !== 0) this.#keep(mode, index, words, at, bad);
    if (this.#observer !== null) this.#observeEntry(index, hit ? 1 : 0, words, at);
    // Step 7: vtd.ir.not-present
    if (irte.pOf(low) === 0) return this.#testify(words, at, Reason.notPresent);
    // Step 8: vtd.ir.sid-mismatch; step 9: vtd.ir.entry-reserved; qemu.vtd.format-before-source
    const mismatch = sourceFault(mode, source, state[Word.request + 2]!);
    if (bad && (mismatch === 0 || (mode & Mode.formatBeforeSource) !== 0)) {
      return this.#testify(words, at, Reason.entryReserved);
    }
    if (mismatch !== 0) return this.#testify(words, at, mismatch);
    // qemu.vtd.request-after-entry
    if ((mode & Mode.requestAfterEntry) !== 0 && this.#reservedData()) return Reason.requestReserved;
    // Step 10: vtd.ir.remap
    if (postsThrough(mode, low)) {
      const urgent = posted.urgOf(low) !== 0;
      const result = this.#poster.post(
        mode,
        posted.pdaLow(words, at),
        posted.pdaHigh(words, at),
        posted.vvOf(low),
        urgent,
      );
      return result === posting ? posting : this.#testify(words, at, result);
    }
    this.#deliver(destinationOf(mode, destination), low);
    return remapping;
  }

  // vtd.ir.remap
  #deliver(destination: number, low: number): void {
    const logical = irte.dmOf(low);
    const hint = irte.rhOf(low);
    const deliveryMode = irte.dlmOf(low);
    const vector = irte.vOf(low);
    const level = irte.tmOf(low);
    if (this.#observer !== null) {
      this.#observer.record(eventKinds.remapped, destination, logical, hint, deliveryMode, vector, level);
    }
    this.#fabric.deliver(destination, logical, hint, deliveryMode, vector, level);
  }

  /** Memory that may fail or hide behind the CPU's cache: accesses go the careful way. */
  get #guarded(): boolean {
    return this.#memory.poisoned || this.#cpuCache !== undefined;
  }

  #pass(address: number, data: number): Outcome {
    this.#observer?.record(eventKinds.passed, address, data, 0, 0, 0, 0);
    this.#fabric.message(address, 0, data);
    return Outcome.passed;
  }

  // vtd.memory.incoherent
  #readable(chunk: number, at: number): boolean {
    const address = (chunk >>> 0) * 2 ** 20 + at * 4;
    if (this.#coherent) this.#cpuCache?.flush(address, irte.WORDS * 4);
    return this.#memory.readable(address, irte.WORDS * 4);
  }

  /** Keeps what was fetched, as the profile's cache does. */
  #keep(mode: number, index: number, words: Int32Array, at: number, bad: boolean): void {
    const lawful = irte.p(words, at) !== 0 && !bad;
    // vtd.iec.line-fetch
    if (this.#profile.entryCache === "line") this.#keepLine(mode, index, words, at);
    // vtd.iec.present-cached, vtd.iec.not-present-cached
    else if (lawful || this.#profile.cachesNotPresent) {
      this.#cache!.hold(index, words, at, judge(mode, words, at, this.#descriptorLimit));
    }
  }

  #keepLine(mode: number, index: number, words: Int32Array, at: number): void {
    const first = index - (index % entriesInLine);
    for (let neighbour = first; neighbour < first + entriesInLine; neighbour++) {
      if (this.#cache!.holds(neighbour)) continue;
      const place = at + (neighbour - index) * irte.WORDS;
      this.#cache!.hold(neighbour, words, place, judge(mode, words, place, this.#descriptorLimit));
    }
  }

  /** Judges the held entries anew: their legality depends on EIME. */
  rejudge(): void {
    const mode = this.#state[Word.mode]!;
    this.#cache?.rejudge((words, at) => judge(mode, words, at, this.#descriptorLimit));
  }

  #observeEntry(index: number, hit: number, words: Int32Array, at: number): void {
    this.#observer!.record(
      eventKinds.entry,
      index,
      hit,
      words[at]!,
      words[at + 1]!,
      words[at + 2]!,
      words[at + 3]!,
    );
  }

  #reservedData(): boolean {
    const address = this.#state[Word.request]!;
    return (
      requestAddress.shv(address) !== 0 && (this.#state[Word.request + 1]! & requestData.RESERVED_0) !== 0
    );
  }

  /** Keeps the entry for which a request is about to be blocked. */
  #testify(words: Int32Array, at: number, reason: number): number {
    const state = this.#state;
    state[Word.entry] = words[at]!;
    state[Word.entry + 1] = words[at + 1]!;
    state[Word.entry + 2] = words[at + 2]!;
    state[Word.entry + 3] = words[at + 3]!;
    return reason;
  }

  #block(code: number, index: number): Outcome {
    const state = this.#state;
    const { qualified, indexed } = faultReasonOf(code);
    // vtd.ir.fpd, qemu.vtd.faults-not-recorded
    const silent =
      (qualified && irte.fpd(state, Word.entry) !== 0) || (state[Word.mode]! & Mode.faultsNotRecorded) !== 0;
    const requester = state[Word.request + 2]!;
    const recorded = !silent && this.#faults.record(code, requester, indexed ? index & 0xffff : 0);
    state[Word.blocked] = state[Word.request]!;
    state[Word.blocked + 1] = state[Word.request + 1]!;
    state[Word.blocked + 2] = requester;
    state[Word.reason] = code;
    state[Word.index] = index;
    state[Word.recorded] = recorded ? 1 : 0;
    if (this.#observer !== null) {
      this.#observer.record(eventKinds.fault, code, requester, indexed ? index : -1, recorded ? 1 : 0, 0, 0);
    }
    return Outcome.blocked;
  }

  /** Why the last blocked request was blocked; undefined if none was. */
  get fault(): VtdFault | undefined {
    const state = this.#state;
    const name = faultNameOf(state[Word.reason]!);
    return (
      name &&
      faultOf(name, {
        address: state[Word.blocked]! >>> 0,
        data: state[Word.blocked + 1]! >>> 0,
        requester: state[Word.blocked + 2]!,
        index: state[Word.index]!,
        entry: fromWords(state, Word.entry, 128),
        recorded: state[Word.recorded] === 1,
      })
    );
  }
}
