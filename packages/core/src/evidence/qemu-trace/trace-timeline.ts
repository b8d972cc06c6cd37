import { type NameId, type TrackId, TrackEventType } from "../../machine/perfetto.ts";
import type { TimelineWriter } from "../../machine/timeline-writer.ts";
import { decode, fromWords } from "../../spec/codec.ts";
import { hexByte, printRequester } from "../../spec/requester.ts";
import { faultRecord } from "../../spec/vtd/registers.ts";
import { InputError } from "../input-error.ts";
import type { TraceHandler, Vendor } from "./handler.ts";
import { textOf } from "./names.ts";
import { QemuTraceReader } from "./reader.ts";

/** What a trace came to, as a timeline. */
export interface TracedTimeline {
  readonly vendor: Vendor | undefined;
  readonly lines: number;
  /** Lines that are on the timeline. */
  readonly shown: number;
  /** The log has time stamps; else a line counts as a nanosecond. */
  readonly stamped: boolean;
}

const { begin, end, instant } = TrackEventType;

/** Where events stand that have no meaning of their own here, by how their names begin. */
const places: readonly (readonly [
  prefix: string,
  group: "devices" | "unit" | "processors",
  track: string,
])[] = [
  ["ioapic_", "devices", "I/O APIC"],
  ["msi", "devices", "PCI"],
  ["apic_", "processors", "local APICs"],
  ["cpu_", "processors", "local APICs"],
  ["kvm_", "processors", "KVM"],
  ["vtd_", "unit", "unit"],
  ["amdvi_", "unit", "unit"],
  ["x86_iommu_", "unit", "unit"],
];

/** `name value`, `name: value` and `name=value`, as trace events print their arguments. */
const argument = /([a-z][a-z_]{0,23})[:=]? ?(0x[0-9a-f]{1,16}|-?\d{1,10})\b/gi;
const mostArguments = 4;
/** Events have some hundred names; more are not a trace's. */
const mostNames = 2000;

/**
 * Puts the lines of a QEMU trace log on a timeline: each interrupt request with its way through the unit to a local
 * APIC as a flow, and every other event where it happened. The log is fed in chunks cut anywhere.
 */
export class TraceTimeline {
  readonly #writer: TimelineWriter;
  readonly #reader: QemuTraceReader;
  readonly #groups: Readonly<Record<"devices" | "unit" | "processors", TrackId>>;
  readonly #tracks = new Map<string, TrackId>();
  readonly #values: Readonly<Record<string, NameId>>;
  readonly #names = new Map<string, { readonly track: TrackId; readonly name: NameId }>();
  readonly #valueNames = new Map<string, NameId>();
  readonly #unit: TrackId;
  #firstStamp = -1;
  #now = 0;
  #shown = 0;
  #requests = 0;
  /** The flow of the request whose outcome has not come, or whose delivery may follow. */
  #flow = 0;
  /** The request's slice is open. */
  #inUnit = false;

  constructor(writer: TimelineWriter) {
    this.#writer = writer;
    this.#groups = {
      devices: writer.track("devices", 0, 0),
      unit: writer.track("IOMMU", 0, 1),
      processors: writer.track("processors", 0, 2),
    };
    this.#unit = writer.track("unit", this.#groups.unit, 0);
    this.#tracks.set("unit", this.#unit);
    const names =
      "address data index low high reason requester offset value first granularity mask deliveryMode trigger";
    this.#values = Object.fromEntries(names.split(" ").map((name) => [name, writer.valueName(name)]));
    this.#reader = new QemuTraceReader(
      () => this.#handler,
      (bytes, from, nameEnd, to) => this.#other(textOf(bytes, from, nameEnd), bytes, nameEnd, to),
    );
  }

  /** Lines read so far. */
  get lines(): number {
    return this.#reader.lines;
  }

  /** @throws InputError when the input is no QEMU trace log. */
  feed(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
  }

  /** Ends the trace. @throws InputError when no event was in it. */
  finish(): TracedTimeline {
    this.#reader.end();
    this.#leaveUnit();
    this.#writer.finish();
    if (this.#shown === 0) {
      throw new InputError(`no trace events in ${this.lines} lines: expected the text of a QEMU trace log`);
    }
    return {
      vendor: this.#reader.vendor,
      lines: this.lines,
      shown: this.#shown,
      stamped: this.#firstStamp >= 0,
    };
  }

  readonly #handler: TraceHandler = {
    request: (line, addressLow, addressHigh, data, requester) => {
      this.#leaveUnit();
      this.#flow = ++this.#requests;
      const device = this.#track(this.#deviceName(requester), "devices");
      this.#write(line, instant, device, "MSI write", (values) => {
        this.#writer.flow(this.#flow);
        this.#writer.hex(values["address"]!, addressLow, addressHigh);
        this.#writer.hex(values["data"]!, data, 0);
      });
      this.#write(line, begin, this.#unit, "interrupt request", () => this.#writer.flow(this.#flow));
      this.#inUnit = true;
    },
    remapped: (line, fromLow, fromHigh, fromData, toLow, toHigh, toData) => {
      const same = fromLow === toLow && fromHigh === toHigh && fromData === toData;
      this.#write(line, instant, this.#unit, same ? "passed" : "remapped", (values) => {
        if (this.#flow > 0) this.#writer.flow(this.#flow);
        this.#writer.hex(values["address"]!, toLow, toHigh);
        this.#writer.hex(values["data"]!, toData, 0);
      });
      this.#leaveUnit();
    },
    delivered: (line, destination, logical, deliveryMode, vector, trigger) => {
      const track = this.#track(
        logical === 0 ? `APIC ${destination}` : `logical ${destination}`,
        "processors",
      );
      this.#write(line, instant, track, `vector ${hexByte(vector)}h`, (values) => {
        if (this.#flow > 0 && !this.#inUnit) this.#writer.lastFlow(this.#flow);
        this.#writer.integer(values["deliveryMode"]!, deliveryMode);
        this.#writer.integer(values["trigger"]!, trigger);
      });
      if (!this.#inUnit) this.#flow = 0;
    },
    vtdEntry: (line, index, word0, word1, word2, word3) => {
      this.#entry(line, index, word0, word1, word2, word3);
    },
    amdviEntry: (line, bytes, word0, word1, word2, word3) => {
      this.#entry(line, -1, word0, word1, word2, word3, bytes > 4);
    },
    vtdFault: (line, word0, word1, word2, word3) => {
      const { fr, sid } = decode(faultRecord, fromWords(Int32Array.of(word0, word1, word2, word3), 0, 128));
      this.#blocked(line, "blocked", Number(fr), Number(sid));
    },
    amdviBlocked: (line, reason) => this.#blocked(line, `blocked: ${reason}`, -1, -1),
    vtdRegisterWrite: (line, offset, _bytes, low, high) => this.#register(line, offset, low, high),
    amdviRegisterWrite: (line, offset, _bytes, low, high) => this.#register(line, offset, low, high),
    vtdInvalidate: (line, granularity, index, mask) => {
      this.#write(line, instant, this.#unit, "invalidated", (values) => {
        this.#writer.integer(values["granularity"]!, granularity);
        this.#writer.integer(values["first"]!, index);
        this.#writer.integer(values["mask"]!, mask);
      });
    },
  };

  #entry(
    line: number,
    index: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    wide = true,
  ): void {
    this.#write(line, instant, this.#unit, "table entry", (values) => {
      if (index >= 0) this.#writer.integer(values["index"]!, index);
      this.#writer.hex(values["low"]!, word0, word1);
      if (wide) this.#writer.hex(values["high"]!, word2, word3);
    });
  }

  #blocked(line: number, name: string, reason: number, requester: number): void {
    this.#write(line, instant, this.#unit, name, (values) => {
      if (this.#flow > 0) this.#writer.lastFlow(this.#flow);
      if (reason >= 0) this.#writer.hex(values["reason"]!, reason, 0);
      if (requester >= 0) this.#writer.hex(values["requester"]!, requester, 0);
    });
    this.#leaveUnit();
    this.#flow = 0;
  }

  #register(line: number, offset: number, low: number, high: number): void {
    this.#write(line, instant, this.#unit, "register written", (values) => {
      this.#writer.hex(values["offset"]!, offset, 0);
      this.#writer.hex(values["value"]!, low, high);
    });
  }

  /** The trace cuts AMD-Vi's DeviceID to 8 bits. */
  #deviceName(requester: number): string {
    if (requester < 0) return "requester not shown";
    const name = printRequester(requester);
    return this.#reader.vendor === "amd" ? name.replace(/^.*:/, "xx:") : name;
  }

  /** An event that has no meaning of its own here: by its name, with its arguments as they are printed. */
  #other(event: string, bytes: Uint8Array, from: number, to: number): void {
    // A word without an underscore is what a guest prints.
    if (!event.includes("_")) return;
    let known = this.#names.get(event);
    if (known === undefined) {
      if (this.#names.size >= mostNames) return;
      const [, group, track] = places.find(([prefix]) => event.startsWith(prefix)) ?? [
        "",
        "devices",
        "other",
      ];
      known = { track: this.#track(track, group), name: this.#writer.name(event) };
      this.#names.set(event, known);
    }
    const values = [...textOf(bytes, from, to).matchAll(argument)].slice(0, mostArguments);
    const numbers = values.map(([, name, value]) => ({ name: this.#valueName(name!), value: value! }));
    this.#shown++;
    this.#writer.event(instant, this.#timeOf(this.lines), known.track, known.name);
    for (const { name, value } of numbers) this.#argument(name, value);
    this.#writer.close();
  }

  #valueName(name: string): NameId {
    const known = this.#valueNames.get(name);
    if (known !== undefined) return known;
    const number = this.#valueNames.size < mostNames ? this.#writer.valueName(name) : this.#values["value"]!;
    this.#valueNames.set(name, number);
    return number;
  }

  #argument(name: NameId, text: string): void {
    const value = BigInt.asIntN(64, BigInt(text));
    if (text.startsWith("0x")) {
      this.#writer.hex(name, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
    } else if (value >= -0x8000_0000n && value < 0x8000_0000n) this.#writer.integer(name, Number(value));
    else this.#writer.hex(name, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }

  #write(
    line: number,
    type: TrackEventType,
    track: TrackId,
    name: string,
    add: (values: Readonly<Record<string, NameId>>) => void,
  ): void {
    if (type !== begin) this.#shown++;
    const number = this.#writer.name(name);
    this.#writer.event(type, this.#timeOf(line), track, number);
    add(this.#values);
    this.#writer.close();
  }

  #leaveUnit(): void {
    if (!this.#inUnit) return;
    this.#inUnit = false;
    this.#writer.event(end, this.#timeOf(this.lines), this.#unit, 0);
    this.#writer.close();
  }

  /** Nanoseconds since the first stamp; without stamps the line. Never earlier than before. */
  #timeOf(line: number): number {
    const { stamp } = this.#reader;
    if (stamp >= 0 && this.#firstStamp < 0 && this.#now === 0) this.#firstStamp = stamp;
    if (this.#firstStamp < 0) this.#now = Math.max(this.#now, line);
    else if (stamp >= 0) this.#now = Math.max(this.#now, (stamp - this.#firstStamp) * 1000);
    return this.#now;
  }

  #track(name: string, group: "devices" | "unit" | "processors"): TrackId {
    const known = this.#tracks.get(name);
    if (known !== undefined) return known;
    const track = this.#writer.track(name, this.#groups[group], this.#tracks.size + 1);
    this.#tracks.set(name, track);
    return track;
  }
}
