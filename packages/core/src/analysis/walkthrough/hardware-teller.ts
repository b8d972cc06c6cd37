import { Outcome } from "../../hardware/delivery.ts";
import { type EventKind, eventKinds } from "../../hardware/event.ts";
import { refusalOf } from "../../hardware/pci/root-complex.ts";
import { hex } from "../../spec/codec.ts";
import { printRequester } from "../../spec/requester.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { Ending } from "../decision.ts";
import { MessageComposer } from "../message-composer.ts";
import { sentBy } from "../path-parts.ts";
import { LiveAmdvi } from "./live-amdvi.ts";
import type { Invalidation, LiveUnit, Posting, Request, SeenEntry } from "./live-unit.ts";
import { LiveVtd } from "./live-vtd.ts";
import { ProcessorTeller } from "./processor-teller.ts";
import { sends } from "./sent-message.ts";
import type { Structure } from "./structures.ts";
import { routes } from "./told.ts";
import type { Walker } from "./walker.ts";

/** Steps of one request at the most: the device's, the bus's, the unit's and what comes of it. */
const stepsOfRequest = 14;

const nobody: Request = { requester: -1, address: 0, data: 0, source: "" };

/** A unit that keeps something in a log raises its own interrupt first, and reports then what it did. */
const early: ReadonlySet<EventKind> = new Set([
  eventKinds.event,
  eventKinds.accepted,
  eventKinds.undelivered,
]);

/** Entries of a table that are watched at the most. */
const watchedEntries = 256;

/** Turns what hardware reports into steps: here, what devices and the unit do. */
export class HardwareTeller {
  readonly #walker: Walker;
  readonly #unit: LiveUnit;
  readonly #processors: ProcessorTeller;
  readonly #composer = new MessageComposer();
  #requests = 0;
  #request: Request | undefined;
  #entry: SeenEntry | undefined;
  /** The request in the unit has no room among the steps. */
  #untold = false;
  #watched = 0;
  /** What the unit reported before it reported why. */
  readonly #early: [kind: EventKind, a: number, b: number, c: number][] = [];

  constructor(walker: Walker) {
    const { machine } = walker;
    const { vtd, amdvi, memory } = machine.hardware;
    this.#walker = walker;
    this.#unit = vtd !== undefined ? new LiveVtd(vtd, memory) : new LiveAmdvi(amdvi!, memory);
    this.#processors = new ProcessorTeller(walker);
  }

  record(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void {
    if (this.#waits(kind)) {
      this.#early.push([kind, a, b, c]);
      return;
    }
    if (this.#request === undefined && kind !== eventKinds.fault) this.#tellEarly();
    this.#take(kind, a, b, c, d, e, f);
  }

  /** Whether it is told only when it is known why it happened. */
  #waits(kind: EventKind): boolean {
    if (!early.has(kind)) return false;
    if (this.#request !== undefined || this.#early.length > 0) return true;
    // Of an access that is no request nothing is reported before.
    return kind === eventKinds.event && !this.#walker.inSoftware;
  }

  #tellEarly(): void {
    for (const [kind, ...values] of this.#early.splice(0)) this.#take(kind, ...values, 0, 0, 0);
  }

  #take(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void {
    switch (kind) {
      case eventKinds.request:
        return this.#arrives(a, b, c);
      case eventKinds.entry:
        if (!this.#untold) this.#entry = { index: a, cached: b === 1, words: Int32Array.of(c, d, e, f) };
        return;
      case eventKinds.fault:
        return this.#blocked(a, b, d);
      case eventKinds.passed:
        this.#composer.message(a, 0, b);
        return this.#leaves(Outcome.passed, { outcome: "passed", rule: this.#passedBy() });
      case eventKinds.remapped:
        this.#composer.deliver(a, b, c, d, e, f);
        return this.#leaves(Outcome.remapped, this.#remapped());
      case eventKinds.posted:
        return this.#posted({
          address: (b >>> 0) * 2 ** 32 + (a >>> 0),
          vector: c,
          notified: d === 1,
          urgent: e === 1,
        });
      case eventKinds.register:
        return this.#register(a, b, c);
      case eventKinds.invalidated:
        return this.#invalidated({ first: a, count: b, device: c, deviceEntry: d === 1 });
      case eventKinds.completed:
        return this.#completed(a, b, c);
      case eventKinds.event:
        return this.#ownInterrupt(a, c);
      case eventKinds.dma:
      case eventKinds.dmaRefused:
        return this.#dma(a, b, c, d, e === 1, kind === eventKinds.dma);
      default:
        this.#processors.record(kind, a, b, c, d);
    }
  }

  #arrives(requester: number, address: number, data: number): void {
    const walker = this.#walker;
    const { bystanders, list } = walker;
    if (list.has(1)) {
      walker.look();
      walker.tellMessages();
    }
    this.#requests++;
    walker.inFlight = this.#requests;
    this.#entry = undefined;
    this.#untold = !list.has(stepsOfRequest);
    const source = this.#untold ? "" : bystanders.sourceOf(requester);
    this.#request = { requester, address, data, source };
    if (this.#untold) {
      list.close();
      list.leftOut += stepsOfRequest - 2;
      return;
    }
    const device = bystanders.device(requester);
    walker.tell(sends(source, device, address, data, this.#unit.vendor), this.#requests);
    walker.tell(routes(source, requester, this.#unit.vendor), this.#requests);
  }

  #passedBy(): RuleId {
    return this.#unit.passedBy(this.#request ?? nobody);
  }

  /** What leaves without an entry has passed (qemu.amdvi.pass-zeroed). */
  #remapped(): Ending {
    if (this.#entry === undefined && !this.#untold) return { outcome: "passed", rule: this.#passedBy() };
    return { outcome: "remapped", rule: this.#unit.rules.remapped };
  }

  #leaves(outcome: Outcome, ending: Ending): void {
    if (this.#untold) {
      this.#request = undefined;
      return;
    }
    const { result } = sentBy(outcome, this.#composer);
    this.#decided(ending, result);
  }

  #decided(ending: Ending, result: string): void {
    const request = this.#request;
    this.#request = undefined;
    if (request === undefined || this.#untold) return;
    const walker = this.#walker;
    this.#watchEntry(request);
    for (const step of this.#unit.decided(request, this.#entry, ending, result)) {
      walker.tell(step, walker.inFlight);
    }
  }

  /** Looks from now on whether somebody changes the entry that the unit used. */
  #watchEntry({ requester }: Request): void {
    if (this.#entry === undefined) return;
    this.#watch([this.#unit.entry(this.#entry.index, requester)], false);
  }

  /** Entries have been written that nobody has looked at yet. */
  discover(): void {
    const requesters = [...this.#walker.machine.devices.values()].map(({ fn }) => fn.requester);
    this.#watch(this.#unit.unseen(requesters, this.#watched + 64), true);
  }

  #watch(some: readonly Structure[], blank: boolean): void {
    const { structures } = this.#walker;
    for (const structure of some) {
      if (this.#watched >= watchedEntries || structures.has(structure.address)) continue;
      structures.watch(structure, blank);
      this.#watched++;
    }
  }

  #blocked(reason: number, requester: number, recorded: number): void {
    const walker = this.#walker;
    if (!walker.list.has(1)) {
      this.#request = undefined;
      this.#early.length = 0;
      walker.list.leftOut++;
      walker.inFlight = 0;
      return;
    }
    const rule = this.#unit.blockedBy();
    if (this.#request === undefined) this.#malformed(requester, rule);
    this.#decided({ outcome: "blocked", rule }, "blocked");
    if (!this.#untold) {
      const told = recorded === 1;
      const missing = told ? undefined : this.#unit.unrecorded();
      walker.tell(
        {
          stop: "unit",
          actor: this.#unit.name,
          title: told ? this.#unit.recording : "the fault is not recorded",
          detail: [
            this.#unit.reason(reason),
            requester < 0 ? "" : `requester ${printRequester(requester & 0xffff)}`,
            missing?.why ?? "",
          ]
            .filter((part) => part !== "")
            .join(", "),
          rule: missing?.rule ?? this.#unit.rules.recorded,
          touched: told ? this.#unit.record(reason, requester) : [],
        },
        walker.inFlight,
      );
    }
    this.#tellEarly();
    walker.inFlight = 0;
  }

  /** A write into the interrupt range that is no interrupt request. */
  #malformed(requester: number, rule: RuleId): void {
    const walker = this.#walker;
    walker.inFlight = 0;
    this.#untold = false;
    walker.tell(
      {
        stop: "unit",
        actor: this.#unit.name,
        title: `an access of ${walker.bystanders.sourceOf(requester)} to the interrupt range is no request`,
        verdict: "blocked here",
        rule,
      },
      0,
    );
  }

  #posted(posting: Posting): void {
    const walker = this.#walker;
    const { bystanders } = walker;
    this.#decided({ outcome: "posted", rule: this.#unit.rules.posted }, "posted");
    bystanders.requestsAt(posting.address)[posting.vector] = walker.inFlight;
    if (!this.#untold) {
      for (const told of this.#unit.posted(posting, bystanders)) walker.tell(told, walker.inFlight);
    }
    this.#tellEarly();
    if (!posting.notified) walker.inFlight = 0;
  }

  #register(offset: number, low: number, high: number): void {
    const walker = this.#walker;
    walker.look();
    const { name, touched, rule } = this.#unit.register(offset, low, high);
    const by = walker.caller() ?? "software";
    const title = `${by} writes ${name} of ${this.#unit.name}`;
    walker.software("unit", this.#unit.name, title, { touched, rule });
  }

  #invalidated(invalidation: Invalidation): void {
    const walker = this.#walker;
    if (walker.list.has(1)) this.#watch(this.#unit.invalidated(invalidation), true);
    walker.look();
    const { what, rule } = this.#unit.forgets(invalidation);
    walker.software("unit", this.#unit.name, `the unit forgets ${what}`, { rule });
  }

  #completed(addressLow: number, addressHigh: number, low: number): void {
    const address = (addressHigh >>> 0) * 2 ** 32 + (addressLow >>> 0);
    this.#walker.software("unit", this.#unit.name, "the unit says that it is done", {
      detail: `${hex(low >>> 0)} written to ${hex(address)}`,
      rule: this.#unit.rules.completed,
    });
  }

  #ownInterrupt(addressLow: number, data: number): void {
    const walker = this.#walker;
    walker.tell(
      {
        stop: "unit",
        actor: this.#unit.name,
        title: "the unit raises its own interrupt",
        detail: `${hex(addressLow >>> 0)} ← ${hex(data >>> 0)}, which is not remapped`,
        rule: this.#unit.rules.ownInterrupt,
      },
      walker.inFlight,
    );
  }

  #dma(
    requester: number,
    low: number,
    high: number,
    length: number,
    writes: boolean,
    granted: boolean,
  ): void {
    const walker = this.#walker;
    const source = walker.bystanders.sourceOf(requester);
    const address = (high >>> 0) * 2 ** 32 + (low >>> 0);
    const touched = granted ? [...walker.structures.changes()].map((one) => one.touched) : [];
    const confined = walker.machine.hardware.root.confines(requester);
    const what = `${writes ? "writes" : "reads"} ${length} bytes`;
    const where = `at ${hex(address)}, requester ${printRequester(requester & 0xffff)}`;
    const refusal = refusalOf(address, length) ?? "pci.dma.confined";
    walker.tell(
      {
        stop: granted ? "device" : "bus",
        actor: source,
        title: granted ? `${source} ${what} of memory` : `${source} ${what}: refused`,
        detail: granted && confined ? `${where}, to which it is granted` : where,
        rule: granted && !confined ? "pci.dma.unconfined" : refusal,
        touched,
      },
      0,
    );
  }
}
