import type { TraceHandler, Vendor } from "../evidence/qemu-trace/index.ts";
import { InputError } from "../evidence/input-error.ts";
import { Outcome } from "../hardware/delivery.ts";
import { Memory } from "../hardware/memory.ts";
import type { RuleId } from "../spec/rules.ts";
import type { Ending } from "./decision.ts";
import { EntryWatch } from "./entry-watch.ts";
import { MessageComposer, printDelivery, printMessage } from "./message-composer.ts";
import { pathMessage, sentBy, toldOutcome } from "./path-parts.ts";
import type { FollowChoice, Path, VendorPath } from "./path.ts";
import { type Disagreement, type Unchecked, disagreementLimit } from "./replay-result.ts";
import { Requesters } from "./requesters.ts";
import { TracedRequest } from "./traced-request.ts";

/** Tables of a trace may lie anywhere; no more memory than this is kept for them. */
const memoryLimitMiB = 256;
const interruptPrefix = 0xfee;

/** Events without which a request cannot be compared, once one of their lines is known to be there. */
const essential: ReadonlySet<keyof TraceHandler> = new Set<keyof TraceHandler>([
  "remapped",
  "vtdEntry",
  "vtdFault",
  "amdviIntCtl",
  "amdviEntryAddress",
  "amdviEntry",
]);

/** What the base needs of the reader. */
export interface ReplayContext {
  /** Counts a line that cannot be used. */
  skip(reason: string, line: number): void;
  readonly follow: FollowChoice | undefined;
}

/**
 * Feeds the requests of one traced unit to the model of such a unit, and compares. A request's lines come one by one
 * and end where something else begins: only then are its inputs complete, and it is decided.
 */
export abstract class UnitReplay implements TraceHandler {
  abstract readonly vendor: Vendor;
  abstract readonly profileName: string;
  requests = 0;
  agreed = 0;
  disagreedCount = 0;
  readonly disagreed: Disagreement[] = [];
  readonly notChecked: Partial<Record<Unchecked, number>> = {};
  readonly requesters = new Requesters();
  followed: Path | undefined;

  protected readonly memory = new Memory({ limitMiB: memoryLimitMiB });
  protected readonly composer = new MessageComposer();
  protected readonly pending = new TracedRequest();
  protected readonly context: ReplayContext;
  /** Sees the entry that the unit uses, for the path of a followed request. */
  protected readonly entryWatch = new EntryWatch();
  #open = false;
  #followedRank = 0;
  /** The unit sent a message of its own, whose delivery is the next one. */
  #ownMessages = 0;

  constructor(context: ReplayContext) {
    this.context = context;
  }

  request(line: number, addressLow: number, addressHigh: number, data: number, requester: number): void {
    this.settle();
    if (addressHigh !== 0 || addressLow >>> 20 !== interruptPrefix) {
      this.context.skip("request outside FEEx_xxxxh", line);
      return;
    }
    this.pending.begin(line, addressLow, addressHigh, data, requester);
    this.#ownMessages = 0;
    this.#open = true;
  }

  remapped(
    line: number,
    fromLow: number,
    fromHigh: number,
    fromData: number,
    toLow: number,
    toHigh: number,
    toData: number,
  ): void {
    const { pending } = this;
    if (!this.#open || pending.outcomeLine !== 0) {
      this.context.skip("outcome without a request", line);
      return;
    }
    pending.outcomeLine = line;
    pending.lastLine = line;
    pending.fromLow = fromLow;
    pending.fromHigh = fromHigh;
    pending.fromData = fromData;
    pending.toLow = toLow;
    pending.toHigh = toHigh;
    pending.toData = toData;
  }

  delivered(
    line: number,
    destination: number,
    logical: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): void {
    const { pending } = this;
    if (this.#ownMessages > 0) {
      this.#ownMessages--;
      return;
    }
    if (!this.#open || pending.outcomeLine === 0 || pending.deliveryLine !== 0) {
      this.context.skip("delivery without a request", line);
      return;
    }
    pending.deliveryLine = line;
    pending.lastLine = line;
    pending.destination = destination;
    pending.logical = logical;
    pending.deliveryMode = deliveryMode;
    pending.vector = vector;
    pending.level = level;
  }

  ownMessage(): void {
    this.#ownMessages++;
  }

  malformed(line: number, method: keyof TraceHandler): void {
    if (method === "request") this.settle();
    else if (this.#open && essential.has(method)) {
      this.pending.damaged = true;
      this.pending.lastLine = line;
    }
  }

  /** Ends the trace: its last request may have been cut off. @param lastLine the number of a line that was, or 0. */
  finish(lastLine: number): void {
    const { pending } = this;
    if (!this.#open) return;
    const cut = pending.outcomeLine === 0 || pending.lastLine === lastLine;
    this.#decide(cut);
  }

  /** Decides the request whose lines are complete, if there is one. What changes the unit comes behind it. */
  protected settle(): void {
    if (this.#open) this.#decide(false);
  }

  /** The request that lines belong to; undefined, and the line counted, if there is none. */
  protected openRequest(line: number, event: string): TracedRequest | undefined {
    if (!this.#open || this.pending.outcomeLine !== 0) {
      this.context.skip(`${event} without a request`, line);
      return undefined;
    }
    this.pending.lastLine = line;
    return this.pending;
  }

  protected leaveUnchecked(what: Unchecked, count = 1): void {
    this.notChecked[what] = (this.notChecked[what] ?? 0) + count;
  }

  /** Takes disagreements back that turn out to rest on nothing. */
  protected withdrawDisagreements(what: Unchecked): void {
    if (this.disagreedCount === 0) return;
    this.leaveUnchecked(what, this.disagreedCount);
    this.disagreed.length = 0;
    this.disagreedCount = 0;
  }

  protected writeEntry(address: number, words: Int32Array, count: number): void {
    try {
      for (let i = 0; i < count; i++) this.memory.write32(address + 4 * i, words[i]!);
    } catch {
      throw new InputError(
        `line ${this.pending.line}: tables of more than ${memoryLimitMiB} MiB so far, expected a trace of one machine`,
      );
    }
  }

  /** Puts the trace's inputs in place. Names what it lacks if the outcome cannot be computed without it. */
  protected abstract prepare(request: TracedRequest): Unchecked | undefined;
  /** Hands the request to the unit. */
  protected abstract decide(request: TracedRequest): Outcome;
  /** Why the last blocked request was blocked. */
  protected abstract blockedBy(): { readonly rule: RuleId; readonly text: string; readonly reason: number };
  /** The rule by which a request that was not blocked came out as it did. */
  protected abstract ruleOf(outcome: Outcome): RuleId;
  /** What a decided request leaves unchecked, and whose it was. */
  protected abstract account(request: TracedRequest, outcome: Outcome, agreed: boolean): void;
  /** How instructive the request is to follow: 0 not at all, 3 most. */
  protected abstract rank(request: TracedRequest): number;
  /** The vendor's part of the path. @param result what left the unit, as text. */
  protected abstract explain(request: TracedRequest, ending: Ending, result: string): VendorPath;

  #decide(cut: boolean): void {
    const { pending } = this;
    this.#open = false;
    this.requests++;
    const missing = pending.damaged ? "damaged" : this.prepare(pending);
    if (missing !== undefined) {
      this.leaveUnchecked(missing);
      return;
    }
    const follow = this.#follows(pending);
    this.entryWatch.watching = follow;
    this.entryWatch.seen = false;
    const outcome = this.decide(pending);
    const disagreement = this.#compare(pending, outcome);
    if (disagreement !== undefined && cut) {
      this.leaveUnchecked("outcome");
      return;
    }
    const agreed = disagreement === undefined;
    if (agreed) this.agreed++;
    else {
      this.disagreedCount++;
      if (this.disagreed.length < disagreementLimit) this.disagreed.push(disagreement);
    }
    this.account(pending, outcome, agreed);
    if (outcome !== Outcome.blocked && pending.outcomeLine !== 0 && pending.deliveryLine === 0) {
      this.leaveUnchecked("delivery");
    }
    if (follow) this.followed = this.#pathOf(pending, outcome, agreed);
  }

  #pathOf(request: TracedRequest, outcome: Outcome, agreed: boolean): Path {
    const { composer } = this;
    const ending = { outcome: toldOutcome(outcome, this.entryWatch.seen), rule: this.ruleFor(outcome) };
    const { message, delivery, result } = sentBy(outcome, composer);
    return {
      vendor: this.vendor,
      profile: this.profileName,
      ordinal: this.requests,
      line: request.line,
      lastLine: request.lastLine,
      request: pathMessage(request.addressLow, 0, request.data),
      ...this.explain(request, ending, result),
      ...ending,
      message,
      delivery,
      agreed,
    };
  }

  #follows(request: TracedRequest): boolean {
    const { follow } = this.context;
    if (follow === undefined) return false;
    if (follow !== "instructive") {
      return "ordinal" in follow
        ? follow.ordinal === this.requests
        : follow.line >= request.line && follow.line <= request.lastLine;
    }
    const rank = this.rank(request);
    if (rank <= this.#followedRank) return false;
    this.#followedRank = rank;
    return true;
  }

  #compare(request: TracedRequest, outcome: Outcome): Disagreement | undefined {
    const { composer } = this;
    if (request.outcomeLine === 0) return this.#compareBlocked(request, outcome);
    const { outcomeLine: line } = request;
    if (
      request.fromLow !== request.addressLow ||
      request.fromHigh !== request.addressHigh ||
      request.fromData !== request.data
    ) {
      const expected = `outcome of ${printMessage(request.fromLow, request.fromHigh, request.fromData)}`;
      return { line, expected, got: this.#printOutcome(outcome), rule: this.ruleFor(outcome) };
    }
    const whole = outcome === Outcome.passed || outcome === Outcome.remapped;
    if (
      !whole ||
      composer.addressLow !== request.toLow ||
      composer.addressHigh !== request.toHigh ||
      composer.data !== request.toData
    ) {
      const expected = printMessage(request.toLow, request.toHigh, request.toData);
      return { line, expected, got: this.#printOutcome(outcome), rule: this.ruleFor(outcome) };
    }
    if (request.deliveryLine === 0 || this.#sameDelivery(request)) return undefined;
    return {
      line: request.deliveryLine,
      expected: printDelivery(request),
      got: printDelivery(composer),
      rule: this.ruleFor(outcome),
    };
  }

  #compareBlocked(request: TracedRequest, outcome: Outcome): Disagreement | undefined {
    const line = request.blockedLine === 0 ? request.line : request.blockedLine;
    const why = request.blockedReason === 0 ? request.blockedText : `${request.blockedReason.toString(16)}h`;
    const expected = request.blockedLine === 0 ? "blocked" : `blocked: ${why}`;
    if (outcome === Outcome.blocked) {
      if (request.blockedReason === 0 || this.blockedBy().reason === request.blockedReason) return undefined;
    }
    return { line, expected, got: this.#printOutcome(outcome), rule: this.ruleFor(outcome) };
  }

  /** QEMU prints 8 bits of the destination, newer versions all of them. */
  #sameDelivery(request: TracedRequest): boolean {
    const { composer } = this;
    const { destination } = composer;
    return (
      (request.destination === (destination & 0xff) || request.destination === destination) &&
      request.logical === composer.logical &&
      request.deliveryMode === composer.deliveryMode &&
      request.vector === composer.vector &&
      request.level === composer.level
    );
  }

  protected ruleFor(outcome: Outcome): RuleId {
    return outcome === Outcome.blocked ? this.blockedBy().rule : this.ruleOf(outcome);
  }

  #printOutcome(outcome: Outcome): string {
    const { composer } = this;
    switch (outcome) {
      case Outcome.blocked:
        return `blocked: ${this.blockedBy().text}`;
      case Outcome.posted:
        return "posted to a descriptor";
      default:
        return printMessage(composer.addressLow, composer.addressHigh, composer.data);
    }
  }
}
