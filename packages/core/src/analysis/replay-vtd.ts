import { Outcome, unknownRequester } from "../hardware/delivery.ts";
import { command, invalidateEntries, setTable } from "../hardware/vtd/bring-up.ts";
import type { VtdProfile } from "../hardware/vtd/profile.ts";
import { VtdUnit } from "../hardware/vtd/unit.ts";
import * as commandBits from "../spec/accessors/vtd-global-command.ts";
import * as irte from "../spec/accessors/irte-remapped.ts";
import * as requestAddress from "../spec/accessors/msi-remappable-address.ts";
import { decode, fromWords } from "../spec/codec.ts";
import { type RuleId, ruleOf } from "../spec/rules.ts";
import { descriptorHeader, descriptorTypes, interruptEntryCacheInvalidate } from "../spec/vtd/descriptors.ts";
import { faultReasons } from "../spec/vtd/faults.ts";
import { irteBytes } from "../spec/vtd/irte.ts";
import {
  extendedCapability,
  faultRecord,
  globalStatus,
  registers,
  tableAddress,
} from "../spec/vtd/registers.ts";
import type { Ending } from "./decision.ts";
import { type VtdDecisionFacts, requestIndex } from "./decision-vtd.ts";
import type { VendorPath } from "./path.ts";
import { sourceName, sourceOf, vtdPath } from "./path-vtd.ts";
import type { Unchecked } from "./replay-result.ts";
import type { TracedRequest } from "./traced-request.ts";
import { type ReplayContext, UnitReplay } from "./unit-replay.ts";

/** Where a table is put whose place the trace does not give: an address that no guest's RAM has. */
const assumedTable = 2 ** 51;
const pageBytes = 4096;
const largestTable = 15;
const indexLimit = 65_536;
const registerPage = 4096;
const lowTwoBits = requestAddress.DONTCARE_MASK;

/** Replays the trace of a VT-d unit. */
export class VtdReplay extends UnitReplay {
  readonly vendor = "intel";
  readonly profileName: string;
  readonly #profile: VtdProfile;
  #unit: VtdUnit;
  /** Base of the table that SIRTP latched. */
  #table = 0;
  #entries = 0;
  /** IRTA.EIME as SIRTP latched it, and GSTS.IRES. */
  #eime = false;
  #remapping = false;
  /** The trace did not show how the unit was set up. */
  #assumed = false;
  /** What it says of the table all the same. */
  #tableSeen: { readonly base: number; readonly size: number } | undefined;
  /**
   * For a unit that keeps the neighbours of an entry: 1 for an index whose entry the trace has not shown since software
   * last invalidated it. The model's memory holds an old value there, and so would the unit's cache.
   */
  readonly #unseen: Uint8Array | undefined;
  #lastCommandLine = 0;
  #remappingBeforeCommand = false;
  #descriptorLine = 0;

  constructor(profile: VtdProfile, context: ReplayContext) {
    super(context);
    this.#profile = profile;
    this.profileName = profile.name;
    if (profile.entryCache === "line") this.#unseen = new Uint8Array(indexLimit).fill(1);
    this.#unit = this.#newUnit();
  }

  vtdRegisterWrite(line: number, offset: number, bytes: number, low: number, high: number): void {
    this.settle();
    if ((bytes !== 4 && bytes !== 8) || offset < 0 || offset >= registerPage || offset % bytes !== 0) {
      this.context.skip("register write that the specification does not allow", line);
      return;
    }
    // The descriptors come from their own lines: the queue itself is not in the trace.
    if (offset === registers.IQT.offset) return;
    if (offset === registers.GCMD.offset) {
      this.#lastCommandLine = line;
      this.#remappingBeforeCommand = this.#remapping;
      this.#command(low);
      return;
    }
    const value = BigInt(low >>> 0) | (bytes === 8 ? BigInt(high >>> 0) << 32n : 0n);
    this.#unit.write(offset, bytes === 8 ? 64 : 32, value);
  }

  vtdCommand(line: number, status: number, value: number): void {
    this.settle();
    const before = this.#lastCommandLine === line - 1 ? this.#remappingBeforeCommand : this.#remapping;
    // The status that QEMU started from tells of a reset that the trace does not show.
    if (before && (status & commandBits.IRE_MASK) === 0) this.vtdReset();
    else if (this.#lastCommandLine === line - 1) return;
    this.#command(value);
  }

  vtdReset(): void {
    this.settle();
    this.#unit = this.#newUnit();
    this.#eime = false;
    this.#remapping = false;
    this.#assumed = false;
  }

  vtdEnabled(_line: number, on: number): void {
    this.settle();
    if (this.#remapping === (on !== 0)) return;
    if (on !== 0) {
      this.#assume(false);
      return;
    }
    command(this.#unit, { ire: 0 });
    this.#remapping = false;
  }

  vtdTable(_line: number, baseLow: number, baseHigh: number, entries: number): void {
    const base = (baseHigh >>> 0) * 2 ** 32 + (baseLow >>> 0);
    const size = Math.log2(entries >>> 0) - 1;
    if (
      base % pageBytes === 0 &&
      base < assumedTable &&
      Number.isInteger(size) &&
      size >= 0 &&
      size <= largestTable
    ) {
      this.#tableSeen = { base, size };
    }
  }

  vtdDescriptor(line: number, word0: number, word1: number, word2: number, word3: number): void {
    this.settle();
    this.#descriptorLine = line;
    const words = Int32Array.of(word0, word1, word2, word3);
    const { type } = decode(descriptorHeader, fromWords(words, 0, 128));
    // The others, a wait's status write among them, do not bear on interrupts.
    if (type !== descriptorTypes.interruptEntryCache) return;
    this.#unit.executeDescriptor(words);
    const { g, iidx, im } = decode(interruptEntryCacheInvalidate, fromWords(words, 0, 128));
    this.#invalidated(Number(g), Number(iidx), Number(im));
  }

  vtdInvalidate(line: number, granularity: number, index: number, mask: number): void {
    this.settle();
    if (this.#descriptorLine === line - 1) return;
    if (granularity === 0) invalidateEntries(this.#unit);
    else invalidateEntries(this.#unit, index & (indexLimit - 1), mask & 0x1f);
    this.#invalidated(granularity, index & (indexLimit - 1), mask & 0x1f);
  }

  vtdEntry(line: number, index: number, word0: number, word1: number, word2: number, word3: number): void {
    if (index < 0 || index >= indexLimit) {
      this.context.skip(`table index past ${indexLimit - 1}`, line);
      return;
    }
    const request = this.openRequest(line, "vtd_ir_irte_get");
    if (request === undefined) return;
    request.index = index;
    request.setEntry(line, word0, word1, word2, word3);
  }

  vtdDecoded(
    line: number,
    _index: number,
    _level: number,
    _vector: number,
    _deliveryMode: number,
    destination: number,
  ): void {
    const request = this.openRequest(line, "vtd_ir_remap");
    if (request === undefined) return;
    request.decodedLine = line;
    request.decodedDestination = destination;
  }

  vtdRequester(line: number, requester: number): void {
    const request = this.openRequest(line, "vtd_warn_ir");
    if (request !== undefined && request.requester === unknownRequester) request.requester = requester;
  }

  vtdFault(line: number, word0: number, word1: number, word2: number, word3: number): void {
    const { fr } = decode(faultRecord, fromWords(Int32Array.of(word0, word1, word2, word3), 0, 128));
    // A fault of a DMA request has nothing to do with the request before it.
    if (Number(fr) < faultReasons.requestReserved.code) return;
    const request = this.openRequest(line, "vtd_frr_new");
    if (request === undefined) return;
    request.blockedLine = line;
    request.blockedReason = Number(fr);
  }

  protected override prepare(request: TracedRequest): Unchecked | undefined {
    if (request.entryLine === 0) return this.#needsEntry(request) ? "entry" : undefined;
    if (!this.#remapping || this.#assumed) this.#assume(eimeOf(request, this.#eime));
    this.writeEntry(this.#table + request.index * irteBytes, request.entry, irte.WORDS);
    this.#forgetUnseen(request.index);
    return undefined;
  }

  protected override decide(request: TracedRequest): Outcome {
    const outcome = this.#unit.interrupt(request.addressLow, request.data, request.requester);
    // qemu.vtd.low-bits-kept
    if (outcome === Outcome.remapped) this.composer.addressLow |= request.addressLow & lowTwoBits;
    return outcome;
  }

  protected override blockedBy(): { rule: RuleId; text: string; reason: number } {
    const { reason, rule } = this.#unit.fault!;
    return { reason, rule, text: `${reason.toString(16)}h, ${ruleOf(rule).text}` };
  }

  protected override ruleOf(outcome: Outcome): RuleId {
    switch (outcome) {
      case Outcome.passed:
        if (!this.#remapping) return "vtd.ir.pass-through";
        return this.#profile.deviations.includes("compatibilityPasses")
          ? "qemu.vtd.compatibility-passes"
          : "vtd.ir.compatibility-pass";
      case Outcome.posted:
        return "vtd.post.atomic";
      default:
        return "vtd.ir.remap";
    }
  }

  protected override account(request: TracedRequest, outcome: Outcome, agreed: boolean): void {
    const { entry, entryLine, addressLow, data } = request;
    const used = entryLine !== 0 && outcome !== Outcome.passed;
    const validation = used ? irte.svt(entry, 0) : 0;
    if (validation !== 0 && request.requester === unknownRequester && this.#verifies(outcome)) {
      this.leaveUnchecked("sourceId");
    }
    if (this.#assumed) this.leaveUnchecked("registers");
    const known = request.requester !== unknownRequester;
    const id = known || !used ? request.requester : sourceOf(entry);
    const index = used ? requestIndex(addressLow, data) : -1;
    const vector = outcome === Outcome.remapped || outcome === Outcome.passed ? this.composer.vector : -1;
    this.requesters.count(id, -1, sourceName, index, agreed, vector, this.composer.destination);
  }

  protected override rank(request: TracedRequest): number {
    if (request.entryLine === 0) return 1;
    return requestAddress.shv(request.addressLow) === 1 && irte.svt(request.entry, 0) !== 0 ? 3 : 2;
  }

  protected override explain(request: TracedRequest, ending: Ending, result: string): VendorPath {
    const { addressLow, data, requester } = request;
    const { entryWatch: watch } = this;
    const { irreq, eimer } = decode(extendedCapability, this.#profile.extendedCapability);
    const facts: VtdDecisionFacts = {
      remappingEnabled: this.#remapping,
      eime: this.#eime,
      compatibilityEnabled: this.#status.cfis === 1,
      remappingRequired: irreq === 1,
      eimRequired: eimer === 1,
      address: addressLow,
      data,
      requester,
      entries: this.#entries,
      entryAddress:
        this.#table === assumedTable
          ? null
          : BigInt(this.#table + irteBytes * requestIndex(addressLow, data)),
      entry: watch.seen ? watch.words : undefined,
      cached: watch.cached,
      result,
    };
    return vtdPath(facts, ending, !this.#profile.deviations.includes("postingIgnored"));
  }

  /** Whether the outcome hangs on an entry, which the trace does not show. */
  #needsEntry(request: TracedRequest): boolean {
    if (requestAddress.format(request.addressLow) === 0) return false;
    if (request.outcomeLine !== 0) return !request.unchanged;
    return this.#remapping && requestIndex(request.addressLow, request.data) < this.#entries;
  }

  #invalidated(granularity: number, index: number, mask: number): void {
    const count = granularity === 0 ? indexLimit : 2 ** Math.min(mask, 16);
    const first = granularity === 0 ? 0 : index - (index % count);
    this.#unseen?.fill(1, first, first + count);
  }

  #forgetUnseen(index: number): void {
    if (this.#unseen === undefined || this.#unseen[index] === 0) return;
    this.#unseen[index] = 0;
    invalidateEntries(this.#unit, index);
  }

  #newUnit(): VtdUnit {
    const { memory, composer: fabric, entryWatch } = this;
    return new VtdUnit({
      memory,
      fabric,
      profile: this.#profile,
      ...(this.context.follow === undefined ? {} : { observer: entryWatch }),
    });
  }

  /** Writes GCMD; with SIRTP, the table is from here on where IRTA says. */
  #command(value: number): void {
    if ((value & commandBits.SIRTP_MASK) !== 0) {
      const { irta, s, eime } = decode(tableAddress, this.#unit.read(registers.IRTA.offset, 64));
      this.#table = Number(irta);
      this.#entries = 2 ** (Number(s) + 1);
      this.#eime = eime === 1;
      this.#assumed = false;
    }
    this.#unit.write(registers.GCMD.offset, 32, BigInt(value >>> 0));
    this.#remapping = this.#status.ires === 1;
  }

  /** Turns remapping on for a trace that starts after it was: with the table that it shows, or one at an assumed place. */
  #assume(eime: boolean): void {
    if (this.#assumed && this.#remapping && eime === this.#eime) return;
    const { base, size } = this.#tableSeen ?? { base: assumedTable, size: largestTable };
    this.#assumed = true;
    this.#table = base;
    this.#entries = 2 ** (size + 1);
    setTable(this.#unit, { base, size, eime });
    command(this.#unit, { ire: 1 });
    this.#eime = eime;
    this.#remapping = true;
  }

  get #status(): ReturnType<typeof decode<keyof typeof globalStatus.fields>> {
    return decode(globalStatus, this.#unit.read(registers.GSTS.offset, 32));
  }

  /** Whether the decision came as far as source-id verification. */
  #verifies(outcome: Outcome): boolean {
    if (outcome !== Outcome.blocked) return true;
    const { name } = this.#unit.fault!;
    return name === "entryReserved" || name === "descriptorAccess" || name === "descriptorReserved";
  }
}

/** EIME as QEMU's reading of the entry's destination shows it; as it was where that does not tell. */
function eimeOf(request: TracedRequest, before: boolean): boolean {
  const destination = irte.dst(request.entry, 0);
  if (request.decodedLine === 0 || destination === 0) return before;
  return request.decodedDestination === destination;
}
