import type { VtdProfile } from "../../hardware/vtd/profile.ts";
import * as commands from "../../spec/accessors/vtd-global-command.ts";
import * as requestAddress from "../../spec/accessors/msi-remappable-address.ts";
import * as descriptor from "../../spec/accessors/vtd-iec-invalidate.ts";
import type { TraceHandler } from "../../evidence/qemu-trace/index.ts";
import type { RuleId } from "../../spec/rules.ts";
import { descriptorTypes } from "../../spec/vtd/descriptors.ts";
import { registers } from "../../spec/vtd/registers.ts";
import type { Hazard, NotChecked } from "./hazard.ts";
import type { HazardList, Scope } from "./hazard-list.ts";
import type { CheckContext, TraceCheck } from "./trace-check.ts";
import { CompatibilityWatch } from "./vtd-compatibility-watch.ts";
import { EntryHistory, indexLimit } from "./vtd-entry-history.ts";
import { EntryWatch } from "./vtd-entry-watch.ts";
import { type TraceFacts, noInvalidations, notShown } from "./vtd-not-shown.ts";
import { QueueGaps } from "./vtd-queue-gaps.ts";
import { QueueWatch, type Unwaited } from "./vtd-queue-watch.ts";
import { SetupWatch } from "./vtd-setup-watch.ts";

const registerPage = 4096;
const interruptPrefix = 0xfee;
const x2apicBit = 1 << 10;

/** Rules that rest on having seen every invalidation. */
const invalidationRules: readonly RuleId[] = [
  "vtd.check.entry-changed",
  "vtd.check.first-use",
  "vtd.check.invalidation-missing",
  "vtd.check.not-waited",
  "vtd.iec.global-after-sirtp",
];
const missing: ReadonlySet<RuleId> = new Set(invalidationRules);

/** Checks the trace of a VT-d unit. */
export class VtdCheck implements TraceCheck {
  readonly vendor = "intel";
  readonly profileName: string;
  events = 0;
  readonly #profile: VtdProfile;
  readonly #compatibility: CompatibilityWatch;
  readonly #hazards: HazardList;
  readonly #context: CheckContext;
  readonly #entries: EntryWatch;
  readonly #setup: SetupWatch;
  readonly #queue: QueueWatch;
  readonly #history = new EntryHistory();
  readonly #words = new Int32Array(descriptor.WORDS);
  readonly #gaps: QueueGaps;

  /** What the trace records, by kind of line. */
  #registerWrites = 0;
  #invalidations = 0;
  #apicBases = 0;
  #lookups = 0;
  #damaged = 0;
  #startsLate = false;
  /** A use of an entry is coming: not one that QEMU only looks up. */
  #using = true;
  /** A write to GCMD, which waits for the line with the status that QEMU started from. */
  #held: { readonly line: number; readonly value: number } | undefined;
  #commands = 0;
  #tailLine = 0;
  /** An invalidation that was fetched, and not yet carried out; and the first of those before any was seen to be. */
  #fetchedAt = 0;
  #neverDoneAt = 0;

  constructor(profile: VtdProfile, context: CheckContext) {
    this.#profile = profile;
    this.profileName = profile.name;
    this.#compatibility = new CompatibilityWatch(profile);
    this.#context = context;
    this.#hazards = context.hazards;
    this.#gaps = new QueueGaps(context.hazards);
    this.#queue = new QueueWatch({
      gap: (gap) => this.#gaps.add(gap),
      unwaited: (unwaited) => this.#unwaited(unwaited),
    });
    this.#setup = new SetupWatch(profile, {
      hazard: (hazard) => this.#report(hazard),
      tableSet: (line) => this.#history.forget(line),
      queueEnabled: (line) => this.#queue.enable(line),
      queueDisabled: () => this.#queue.disable(),
    });
    this.#entries = new EntryWatch(profile, this.#history, this.#setup, (hazard, scope) =>
      this.#report(hazard, scope),
    );
  }

  vtdRegisterWrite(line: number, offset: number, bytes: number, low: number, high: number): void {
    this.events++;
    this.#settle();
    if ((bytes !== 4 && bytes !== 8) || offset < 0 || offset >= registerPage || offset % bytes !== 0) {
      this.#context.skip("register write that the specification does not allow", line);
      return;
    }
    this.#registerWrites++;
    if (offset === registers.IQT.offset) {
      this.#tailLine = line;
      this.#queue.tailBytes(line, low);
      return;
    }
    if (offset === registers.IQA.offset) this.#queue.place(low);
    this.#queue.settle();
    this.#queue.goOn(line);
    switch (offset) {
      case registers.GCMD.offset:
        this.#held = { line, value: low };
        break;
      case registers.IQA.offset:
        this.#setup.placeQueue();
        break;
      case registers.IRTA.offset:
        this.#setup.writeTable(0, low);
        if (bytes === 8) this.#setup.writeTable(1, high);
        break;
      case registers.IRTA.offset + 4:
        this.#setup.writeTable(1, low);
        break;
    }
  }

  vtdCommand(line: number, status: number, value: number): void {
    this.events++;
    const held = this.#held?.line === line - 1 ? this.#held : undefined;
    if (held === undefined) this.#settle();
    this.#held = undefined;
    if (this.#commands === 0) {
      this.#startsLate = status !== 0;
      this.#setup.status = status;
    } else if (status === 0 && this.#setup.status !== 0) this.#restart(line);
    if (held !== undefined && held.value !== value) this.#command(held.line, held.value);
    this.#command(held?.line ?? line, value);
  }

  vtdReset(line: number): void {
    this.events++;
    this.#settle();
    this.#reset(line);
  }

  vtdEnabled(line: number, on: number): void {
    this.events++;
    this.#settle();
    if (this.#setup.remapping === (on !== 0)) return;
    // The trace does not show the command.
    this.#startsLate = true;
    this.#setup.status = on === 0 ? 0 : commands.IRE_MASK | commands.SIRTP_MASK;
    this.#history.forget(line);
  }

  vtdTable(line: number, baseLow: number, baseHigh: number, entries: number): void {
    this.events++;
    this.#settle();
    this.#setup.tableSeen(line, (baseHigh >>> 0) * 2 ** 32 + (baseLow >>> 0), entries >>> 0);
  }

  vtdQueueTail(line: number, tail: number): void {
    this.events++;
    if (this.#tailLine === line - 1) return;
    this.#settle();
    this.#queue.tail(line, tail);
  }

  vtdDescriptor(line: number, word0: number, word1: number, word2: number, word3: number): void {
    this.events++;
    this.#settle();
    const words = this.#words;
    words[0] = word0;
    words[1] = word1;
    words[2] = word2;
    words[3] = word3;
    this.#queue.descriptor(line, words);
    if (descriptor.type(words, 0) !== descriptorTypes.interruptEntryCache) return;
    this.#fetchedAt = line;
    this.#invalidated(line, descriptor.g(words, 0), descriptor.iidx(words, 0), descriptor.im(words, 0));
  }

  vtdInvalidate(line: number, granularity: number, index: number, mask: number): void {
    this.events++;
    const fetched = this.#fetchedAt !== 0;
    this.#fetchedAt = 0;
    if (this.#invalidations++ === 0 && this.#neverDoneAt !== 0) this.#notDone(this.#neverDoneAt);
    this.#settle();
    if (!fetched) this.#invalidated(line, granularity, index & (indexLimit - 1), mask & 0x1f);
  }

  request(
    line: number,
    addressLow: number,
    addressHigh: number,
    _data: number,
    _requester: number,
    faults = -1,
  ): void {
    this.events++;
    this.#settle();
    this.#using = faults !== 0;
    if (!this.#using) {
      this.#lookups++;
      return;
    }
    if (addressHigh !== 0 || addressLow >>> 20 !== interruptPrefix) return;
    this.#setup.request(line);
    const passes = !this.#setup.remapping || (this.#setup.compatible && !this.#setup.eime);
    if (!passes && requestAddress.format(addressLow) === 0) this.#compatibility.blocked(line);
  }

  vtdEntry(line: number, index: number, word0: number, word1: number, word2: number, word3: number): void {
    this.events++;
    this.#settle();
    if (index < 0 || index >= indexLimit) {
      this.#context.skip(`table index past ${indexLimit - 1}`, line);
      return;
    }
    if (!this.#using) return;
    if (this.#queue.open !== 0 && this.#history.invalidatedAt(index) > this.#queue.lastWait)
      this.#queue.goOn(line);
    this.#entries.use(line, index, word0, word1, word2, word3);
  }

  apicBase(line: number, low: number): void {
    this.#apicBases++;
    if ((low & x2apicBit) !== 0) this.#setup.x2apic(line);
  }

  /** What a damaged line said is not known: it is taken for what does software no wrong. */
  malformed(line: number, method: keyof TraceHandler): void {
    if (method === "vtdInvalidate") this.#fetchedAt = 0;
    this.#settle();
    switch (method) {
      case "vtdDescriptor":
      case "vtdInvalidate":
        this.#invalidated(line, 0, 0, 0);
        this.#queue.damaged(line);
        break;
      case "vtdRegisterWrite":
      case "vtdQueueTail":
        this.#queue.misplaced();
        this.#setup.placeQueue();
        break;
      default:
        return;
    }
    this.#damaged++;
  }

  finish(): readonly NotChecked[] {
    // What was fetched last may yet have been carried out.
    this.#fetchedAt = 0;
    this.#settle();
    this.#reportPassed();
    this.#queue.finish();
    this.#setup.finish();
    const withdrawn = this.#withdraw();
    this.#gaps.finish();
    const facts: TraceFacts = {
      unseenEntries: this.#history.unseen(),
      commands: this.#commands,
      registerWrites: this.#registerWrites,
      apicBases: this.#apicBases,
      lookups: this.#lookups,
      damaged: this.#damaged,
      startsLate: this.#startsLate,
    };
    return [...withdrawn, ...notShown(this.#profile, facts)];
  }

  /** Before anything else is looked at: what waited for more lines. */
  #settle(): void {
    const held = this.#held;
    if (held !== undefined) {
      this.#held = undefined;
      this.#command(held.line, held.value);
    }
    if (this.#fetchedAt !== 0) this.#unfinished();
  }

  /** An invalidation was fetched, and the line that shows it carried out is not there. */
  #unfinished(): void {
    const line = this.#fetchedAt;
    this.#fetchedAt = 0;
    if (line === 0) return;
    if (this.#invalidations > 0) this.#notDone(line);
    else if (this.#neverDoneAt === 0) this.#neverDoneAt = line;
  }

  #notDone(line: number): void {
    this.#queue.lost(line, "the invalidation that is fetched here is not carried out");
  }

  #command(line: number, value: number): void {
    this.#reportPassed();
    this.#commands++;
    this.#setup.command(line, value, this.#registerWrites > 0 && !this.#startsLate);
  }

  /** The unit was reset, which the trace does not show: what software wrote before its first command stands. */
  #restart(line: number): void {
    this.#compatibility.forget();
    this.#setup.restart();
    this.#queue.disable();
    this.#history.forget(line);
  }

  #reset(line: number): void {
    this.#reportPassed();
    this.#setup.reset();
    this.#queue.reset();
    this.#history.forget(line);
  }

  #invalidated(line: number, granularity: number, index: number, mask: number): void {
    this.#queue.invalidated(line);
    if (granularity === 0) {
      this.#setup.invalidatedAll();
      this.#history.invalidateAll(line);
    } else this.#history.invalidate(line, index, mask);
  }

  #unwaited({ since, at }: Unwaited): void {
    this.#report(
      {
        rule: "vtd.check.not-waited",
        index: null,
        requester: null,
        at,
        since: since === at ? null : since,
        found:
          "an interrupt-entry-cache invalidation is queued with no wait behind it: when it completes is not known",
        fix: "queue a wait descriptor with a status write behind the invalidation, and wait for the status",
      },
      "unit",
    );
  }

  #reportPassed(): void {
    const hazard = this.#compatibility.take();
    if (hazard !== undefined) this.#report(hazard, "unit");
  }

  #report(hazard: Hazard, scope: Scope = "entry"): void {
    this.#hazards.add(hazard, scope);
    if (missing.has(hazard.rule)) this.#gaps.explain(hazard);
  }

  /** Takes back what rests on lines that the trace does not record. */
  #withdraw(): NotChecked[] {
    const { descriptors, submissions } = this.#queue;
    if (descriptors === 0) this.#gaps.clear();
    // With no descriptor in the trace, there is no wait in it either.
    if (descriptors === 0 && this.#invalidations > 0) this.#hazards.withdraw("vtd.check.not-waited");
    if (descriptors + this.#invalidations > 0 || (this.#registerWrites > 0 && submissions === 0)) return [];
    const count = invalidationRules.reduce((sum, rule) => sum + this.#hazards.withdraw(rule), 0);
    return [{ rule: "vtd.check.entry-changed", why: noInvalidations, count }];
  }
}
