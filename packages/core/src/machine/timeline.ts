import type { CallListener, FunctionSymbol, Thread } from "../hardware/call-stack.ts";
import { type EventKind, type EventName, type Observer, eventKinds } from "../hardware/event.ts";
import { hexByte, printRequester } from "../spec/requester.ts";
import type { Clock } from "./clock.ts";
import { type NameId, type TrackId, TrackEventType } from "./perfetto.ts";
import { type Place, type ShownEvent, shownEvents } from "./timeline-events.ts";
import { type TimelineWriter, threadsGroup } from "./timeline-writer.ts";

/** A processor's track, and the flows that led to each of its vectors and were not yet taken up. */
interface Processor {
  readonly track: TrackId;
  readonly flows: Float64Array;
}

/** A kind of event, ready to be written. */
interface Kind {
  readonly place: Place;
  readonly title: NameId;
  /** Names by vector, filled as they are needed. */
  readonly vectorTitle: string | null;
  readonly vectorAt: number;
  readonly vectorNames: Int32Array;
  readonly values: readonly {
    readonly name: NameId;
    readonly at: number;
    /** -1 for a value of 32 bits. */
    readonly high: number;
    readonly hexadecimal: boolean;
    readonly none: number | undefined;
  }[];
  /** In place of the title where it has none of its values; 0: the same. */
  readonly bare: NameId;
}

const vectors = 256;
/** Behind every processor. */
const lastRank = 2 ** 30;
const groups = ["devices", "IOMMU", "processors", "vCPUs", threadsGroup] as const;

/**
 * Writes down what the machine does while it does it: a track for each device, unit, processor, vCPU
 * and thread; slices for calls, for requests in a unit and for the time in guest mode; instants for what the hardware
 * reports; and flows from each MSI write to whoever handles it.
 */
export class Timeline implements Observer, CallListener {
  readonly #clock: Clock;
  readonly #exitReasons: ReadonlyMap<number, string>;
  readonly #writer: TimelineWriter;
  readonly #groups: Readonly<Record<(typeof groups)[number], TrackId>>;
  readonly #kinds: readonly (Kind | undefined)[];
  readonly #titles: { readonly request: NameId; readonly guest: NameId };
  readonly #devices = new Map<number, TrackId>();
  readonly #processors = new Map<number, Processor>();
  readonly #vcpus = new Map<number, Processor>();
  readonly #threads = new Map<Thread, TrackId>();
  readonly #symbols = new Map<FunctionSymbol, NameId>();
  /** vCPUs by the low half of their descriptor's or backing page's address. */
  readonly #descriptors = new Map<number, Processor>();
  /** Flows through descriptors of no vCPU that is known. */
  readonly #unclaimed = new Float64Array(vectors);
  /** The values of the event that is being written. */
  readonly #values = new Int32Array(6);
  readonly #unit: TrackId;
  #fabric: TrackId = 0;
  #lastFlow = 0;
  /** The flow of the request that is in a unit. */
  #requested = 0;
  /** The flow that the next interrupt which a local APIC accepts belongs to. */
  #inFlight = 0;
  /** A request is in the unit: its slice is open. */
  #inUnit: TrackId = 0;
  /** The flow that the next entry of the IDT takes up. */
  #taken = 0;
  #finished = false;

  /** @param exitReasons names of the reasons for VM exits, by the numbers that their vendor has for them. */
  constructor(clock: Clock, writer: TimelineWriter, exitReasons: ReadonlyMap<number, string> = new Map()) {
    this.#clock = clock;
    this.#exitReasons = exitReasons;
    this.#writer = writer;
    this.#groups = Object.fromEntries(
      groups.map((name, rank) => [name, writer.track(name, 0, rank)]),
    ) as Readonly<Record<(typeof groups)[number], TrackId>>;
    this.#unit = writer.track("unit", this.#groups.IOMMU);
    this.#titles = { request: writer.name("interrupt request"), guest: writer.name("guest mode") };
    const kinds: (Kind | undefined)[] = [];
    for (const [name, kind] of Object.entries(eventKinds)) kinds[kind] = this.#kindOf(name as EventName);
    this.#kinds = kinds;
  }

  /** Gives a device's track a name; without, it is the requester id. */
  device(requester: number, name: string): void {
    this.#devices.set(requester, this.#writer.track(name, this.#groups.devices, requester + 1));
  }

  /** Gives a vCPU's track a name, and says which descriptor, or backing page, interrupts are posted to for it. */
  vcpu(number: number, name: string, descriptor?: number): void {
    const vcpu = this.#newProcessor(name, this.#groups.vCPUs, number);
    this.#vcpus.set(number, vcpu);
    if (descriptor !== undefined) this.#descriptors.set(descriptor | 0, vcpu);
  }

  /** An observer for one of several units. */
  unit(name: string): Observer {
    const track = this.#writer.track(name, this.#groups.IOMMU);
    return { record: (kind, a, b, c, d, e, f) => this.#record(track, kind, a, b, c, d, e, f) };
  }

  record(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void {
    this.#record(this.#unit, kind, a, b, c, d, e, f);
  }

  /** A processor takes a vector: the IDT's entry that is called next handles what led to it. */
  #acknowledged(apicId: number, vector: number): void {
    const { flows } = this.#processor(apicId);
    this.#taken = flows[vector]!;
    flows[vector] = 0;
  }

  entered(symbol: FunctionSymbol, thread: Thread): void {
    this.#inFlight = 0;
    const track = this.#threads.get(thread) ?? this.#newThread(thread);
    const name = this.#symbols.get(symbol) ?? this.#newSymbol(symbol);
    this.#writer.event(TrackEventType.begin, this.#clock.now, track, name);
    if (this.#taken !== 0 && symbol.idtEntry === true) {
      this.#writer.lastFlow(this.#taken);
      this.#taken = 0;
    }
    this.#writer.close();
  }

  left(_symbol: FunctionSymbol, thread: Thread): void {
    this.#end(this.#threads.get(thread) ?? this.#newThread(thread));
  }

  #vmEntry(vcpu: number, apicId: number): void {
    this.#begin(this.#vcpu(vcpu).track, this.#titles.guest);
    this.#begin(this.#processor(apicId).track, this.#titles.guest);
  }

  #vmExit(vcpu: number, apicId: number, reason: number): void {
    const { track } = this.#vcpu(vcpu);
    this.#end(this.#processor(apicId).track);
    this.#end(track);
    const name = this.#writer.name(this.#exitReasons.get(reason) ?? `exit ${reason}`);
    this.#writer.event(TrackEventType.instant, this.#clock.now, track, name);
    this.#writer.close();
  }

  /** The timeline is complete: what the hardware still reports is passed over. */
  finish(): void {
    this.#leaveUnit();
    this.#finished = true;
    this.#writer.finish();
  }

  #record(
    unit: TrackId,
    code: EventKind,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
  ): void {
    const kind = this.#kinds[code];
    if (kind === undefined || this.#finished) return;
    if (code !== eventKinds.vmExit) this.#taken = 0;
    const values = this.#values;
    values[0] = a;
    values[1] = b;
    values[2] = c;
    values[3] = d;
    values[4] = e;
    values[5] = f;
    switch (code) {
      case eventKinds.acknowledged:
        this.#acknowledged(a, b);
        return;
      case eventKinds.vmEntry:
        this.#vmEntry(a, b);
        return;
      case eventKinds.vmExit:
        this.#vmExit(a, b, c);
        return;
      case eventKinds.request:
        this.#leaveUnit();
        this.#inFlight = 0;
        this.#requested = ++this.#lastFlow;
        this.#instant(kind, this.#device(a), this.#requested, 0);
        this.#begin(unit, this.#titles.request, this.#requested);
        this.#inUnit = unit;
        return;
      case eventKinds.entry:
        this.#instant(kind, unit, 0, 0);
        return;
      case eventKinds.fault:
        this.#instant(kind, unit, 0, this.#requested);
        this.#inFlight = 0;
        this.#leaveUnit();
        return;
      case eventKinds.passed:
      case eventKinds.remapped:
        this.#instant(kind, unit, this.#requested, 0);
        this.#inFlight = this.#requested;
        this.#leaveUnit();
        return;
      case eventKinds.posted:
        this.#instant(kind, unit, this.#requested, 0);
        (this.#descriptors.get(a)?.flows ?? this.#unclaimed)[c] = this.#requested;
        this.#inFlight = d === 0 ? 0 : this.#requested;
        this.#leaveUnit();
        return;
      case eventKinds.accepted: {
        const processor = this.#processor(a);
        this.#instant(kind, processor.track, this.#inFlight, 0);
        if (b >= 0 && b < vectors) processor.flows[b] = this.#inFlight;
        return;
      }
      case eventKinds.undelivered:
        if (this.#fabric === 0)
          this.#fabric = this.#writer.track("undelivered", this.#groups.processors, lastRank);
        this.#instant(kind, this.#fabric, 0, this.#inFlight);
        return;
      case eventKinds.virtual: {
        const vcpu = this.#vcpu(a);
        const flows = vcpu.flows[b]! > 0 ? vcpu.flows : this.#unclaimed;
        this.#instant(kind, vcpu.track, 0, flows[b]!);
        flows[b] = 0;
        break;
      }
      default:
        this.#instant(kind, kind.place === "device" ? this.#device(a) : unit, 0, 0);
    }
    // What comes behind it comes of something else.
    this.#inFlight = 0;
  }

  #begin(track: TrackId, name: NameId, flow = 0): void {
    const writer = this.#writer;
    writer.event(TrackEventType.begin, this.#clock.now, track, name);
    if (flow !== 0) writer.flow(flow);
    writer.close();
  }

  #end(track: TrackId): void {
    this.#writer.event(TrackEventType.end, this.#clock.now, track, 0);
    this.#writer.close();
  }

  #leaveUnit(): void {
    if (this.#inUnit !== 0) this.#end(this.#inUnit);
    this.#inUnit = 0;
    this.#requested = 0;
  }

  /** Writes an event with its values. */
  #instant(kind: Kind, track: TrackId, flow: number, lastFlow: number): void {
    const writer = this.#writer;
    const given = this.#values;
    const name = this.#titleOf(kind);
    writer.event(TrackEventType.instant, this.#clock.now, track, name);
    if (flow !== 0) writer.flow(flow);
    if (lastFlow !== 0) writer.lastFlow(lastFlow);
    for (const value of kind.values) {
      const low = given[value.at]!;
      if (low === value.none) continue;
      if (value.hexadecimal) writer.hex(value.name, low, value.high < 0 ? 0 : given[value.high]!);
      else writer.integer(value.name, low);
    }
    writer.close();
  }

  #titleOf(kind: Kind): NameId {
    const given = this.#values;
    if (kind.vectorTitle !== null) return this.#vectorName(kind, given[kind.vectorAt]!);
    const bare = kind.bare !== 0 && kind.values.every(({ at, none }) => given[at] === none);
    return bare ? kind.bare : kind.title;
  }

  #vectorName(kind: Kind, vector: number): NameId {
    const known = kind.vectorNames[vector & 0xff]!;
    if (known !== 0) return known;
    const name = this.#writer.name(`${kind.vectorTitle} ${hexByte(vector)}h`);
    kind.vectorNames[vector & 0xff] = name;
    return name;
  }

  #kindOf(name: EventName): Kind {
    const shown: ShownEvent = shownEvents[name] ?? { place: "unit", title: name, values: [] };
    const { place, title, bare, vector, values } = shown;
    const writer = this.#writer;
    return {
      place,
      title: writer.name(title),
      bare: bare === undefined ? 0 : writer.name(bare),
      vectorTitle: vector === undefined ? null : title,
      vectorAt: vector ?? 0,
      vectorNames: new Int32Array(vectors),
      values: values.map((value) => ({
        name: writer.valueName(value.name),
        at: value.at,
        high: value.high ?? -1,
        hexadecimal: value.hexadecimal ?? false,
        none: value.none,
      })),
    };
  }

  #device(requester: number): TrackId {
    const known = this.#devices.get(requester);
    if (known !== undefined) return known;
    this.device(requester, requester < 0 ? "unknown requester" : printRequester(requester));
    return this.#devices.get(requester)!;
  }

  #processor(apicId: number): Processor {
    const known = this.#processors.get(apicId);
    if (known !== undefined) return known;
    const processor = this.#newProcessor(`APIC ${apicId}`, this.#groups.processors, apicId);
    this.#processors.set(apicId, processor);
    return processor;
  }

  #vcpu(number: number): Processor {
    const known = this.#vcpus.get(number);
    if (known !== undefined) return known;
    this.vcpu(number, `vCPU ${number}`);
    return this.#vcpus.get(number)!;
  }

  #newProcessor(name: string, group: TrackId, rank: number): Processor {
    return { track: this.#writer.track(name, group, rank), flows: new Float64Array(vectors) };
  }

  #newThread(thread: Thread): TrackId {
    const track = this.#writer.track(thread.name, this.#groups.threads, this.#threads.size);
    this.#threads.set(thread, track);
    return track;
  }

  #newSymbol(symbol: FunctionSymbol): NameId {
    const name = this.#writer.name(symbol.name);
    this.#symbols.set(symbol, name);
    return name;
  }
}
