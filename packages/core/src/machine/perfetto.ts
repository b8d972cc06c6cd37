import type { TimelineWriter } from "./timeline-writer.ts";

/** Takes the trace, piece by piece; the bytes are good until it returns. */
export type TraceSink = (bytes: Uint8Array) => void;

/** A track, by its number. */
export type TrackId = number;

/** An interned name, by its number. */
export type NameId = number;

/** TrackEvent.Type. */
export const TrackEventType = { begin: 1, end: 2, instant: 3 } as const;

export type TrackEventType = (typeof TrackEventType)[keyof typeof TrackEventType];

/** How the tracks below one are sorted: TrackDescriptor.ChildTracksOrdering. */
const explicitOrder = 3;

/** Tags of the fields: number << 3 | wire type, where 0 is a varint, 1 eight bytes, 2 bytes after their length. */
const Tag = {
  packet: (1 << 3) | 2,
  timestamp: 8 << 3,
  sequence: 10 << 3,
  trackEvent: (11 << 3) | 2,
  internedData: (12 << 3) | 2,
  sequenceFlags: 13 << 3,
  trackDescriptor: (60 << 3) | 2,

  descriptorUuid: 1 << 3,
  descriptorName: (2 << 3) | 2,
  descriptorParent: 5 << 3,
  descriptorOrdering: 11 << 3,
  descriptorRank: 12 << 3,

  eventNames: (2 << 3) | 2,
  annotationNames: (3 << 3) | 2,
  internedId: 1 << 3,
  internedName: (2 << 3) | 2,

  annotation: (4 << 3) | 2,
  eventType: 9 << 3,
  eventName: 10 << 3,
  eventTrack: 11 << 3,
  flow: (47 << 3) | 1,
  lastFlow: (48 << 3) | 1,

  annotationName: 1 << 3,
  annotationInteger: 4 << 3,
  annotationPointer: 7 << 3,
} as const;

/** TracePacket.SequenceFlags. */
const SequenceFlag = { cleared: 1, needed: 2 } as const;

const mostNameBytes = 1000;
/** More than any packet takes. */
const roomForPacket = 2048;

/**
 * Writes a Perfetto trace (protos/perfetto/trace/trace.proto): track events of one packet sequence, with names
 * interned. Nothing is kept but one chunk and the names.
 *
 * An event is {@link event}, what belongs to it, and {@link close}.
 */
export class PerfettoWriter implements TimelineWriter {
  readonly #sink: TraceSink;
  readonly #bytes: Uint8Array;
  readonly #names = new Map<string, NameId>();
  readonly #valueNames = new Map<string, NameId>();
  #at = 0;
  /** Where the length of the open packet stands, and that of the open message in it. */
  #packet = 0;
  #message = 0;
  #tracks = 0;
  #started = false;

  constructor(sink: TraceSink, chunkBytes = 65_536) {
    this.#sink = sink;
    this.#bytes = new Uint8Array(Math.max(chunkBytes, roomForPacket));
  }

  /** Declares a track. Those of one parent stand in the order of their rank, which is not negative. */
  track(name: string, parent: TrackId = 0, rank = 0): TrackId {
    const uuid = ++this.#tracks;
    this.#openPacket();
    this.#openMessage(Tag.trackDescriptor);
    this.#field(Tag.descriptorUuid, uuid);
    this.#text(Tag.descriptorName, name);
    if (parent !== 0) this.#field(Tag.descriptorParent, parent);
    this.#field(Tag.descriptorOrdering, explicitOrder);
    this.#field(Tag.descriptorRank, rank);
    this.close();
    return uuid;
  }

  /** The number of an event's name. Not while an event is open. */
  name(text: string): NameId {
    return this.#intern(this.#names, Tag.eventNames, text);
  }

  /** The number of a value's name. Not while an event is open. */
  valueName(text: string): NameId {
    return this.#intern(this.#valueNames, Tag.annotationNames, text);
  }

  /** @param time nanoseconds. @param name 0 for the end of a slice, which has none. */
  event(type: TrackEventType, time: number, track: TrackId, name: NameId): void {
    this.#openPacket();
    this.#byte(Tag.timestamp);
    this.#varint(Math.floor(time));
    this.#openMessage(Tag.trackEvent);
    this.#field(Tag.eventType, type);
    if (name !== 0) this.#field(Tag.eventName, name);
    this.#field(Tag.eventTrack, track);
  }

  /** An arrow leads from the event before with this number to this one, and on from here. */
  flow(id: number): void {
    this.#fixed64(Tag.flow, id);
  }

  /** The arrow ends here. */
  lastFlow(id: number): void {
    this.#fixed64(Tag.lastFlow, id);
  }

  /** An integer of 32 bits. */
  integer(name: NameId, value: number): void {
    const length = this.#openAnnotation(name);
    this.#byte(Tag.annotationInteger);
    if (value >= 0) this.#varint(value);
    else this.#varint64(value, -1);
    this.#bytes[length] = this.#at - length - 1;
  }

  /** 64 bits as two int32, shown in hexadecimal. */
  hex(name: NameId, low: number, high: number): void {
    const length = this.#openAnnotation(name);
    this.#byte(Tag.annotationPointer);
    this.#varint64(low, high);
    this.#bytes[length] = this.#at - length - 1;
  }

  /** The event is complete. */
  close(): void {
    this.#patch(this.#message);
    this.#patch(this.#packet);
  }

  /** Hands out what is left. */
  finish(): void {
    if (this.#at > 0) this.#sink(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
  }

  #intern(names: Map<string, NameId>, tag: number, text: string): NameId {
    const known = names.get(text);
    if (known !== undefined) return known;
    const id = names.size + 1;
    names.set(text, id);
    this.#openPacket();
    this.#openMessage(Tag.internedData);
    this.#byte(tag);
    const length = this.#reserve();
    this.#field(Tag.internedId, id);
    this.#text(Tag.internedName, text);
    this.#patch(length);
    this.close();
    return id;
  }

  #openPacket(): void {
    if (this.#at > this.#bytes.length - roomForPacket) this.finish();
    this.#byte(Tag.packet);
    this.#packet = this.#reserve();
    this.#field(Tag.sequence, 1);
    this.#field(Tag.sequenceFlags, this.#started ? SequenceFlag.needed : SequenceFlag.cleared);
    this.#started = true;
  }

  #openMessage(tag: number): void {
    this.#varint(tag);
    this.#message = this.#reserve();
  }

  #openAnnotation(name: NameId): number {
    this.#byte(Tag.annotation);
    const length = this.#at++;
    this.#field(Tag.annotationName, name);
    return length;
  }

  /** Leaves room for a length: always two bytes, so that what follows need not move. */
  #reserve(): number {
    const at = this.#at;
    this.#at = at + 2;
    return at;
  }

  #patch(at: number): void {
    const length = this.#at - at - 2;
    this.#bytes[at] = (length & 0x7f) | 0x80;
    this.#bytes[at + 1] = length >>> 7;
  }

  #byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  #field(tag: number, value: number): void {
    this.#bytes[this.#at++] = tag;
    this.#varint(value);
  }

  /** An integer from 0 to 2^53. */
  #varint(value: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let rest = value;
    if (rest >= 0x1000_0000) {
      const high = Math.floor(rest / 0x1000_0000);
      rest -= high * 0x1000_0000;
      for (let i = 0; i < 4; i++, rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
      rest = high;
    }
    for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
    bytes[at++] = rest;
    this.#at = at;
  }

  #varint64(low: number, high: number): void {
    if (high === 0) {
      this.#varint(low >>> 0);
      return;
    }
    let rest = low;
    for (let i = 0; i < 4; i++, rest >>>= 7) this.#byte((rest & 0x7f) | 0x80);
    // Four bits are left of the lower word, and three of the upper one fit beside them.
    this.#byte((rest & 0xf) | ((high & 7) << 4) | (high >>> 3 === 0 ? 0 : 0x80));
    if (high >>> 3 !== 0) this.#varint(high >>> 3);
  }

  #fixed64(tag: number, value: number): void {
    this.#varint(tag);
    const high = Math.floor(value / 2 ** 32);
    for (let i = 0; i < 4; i++) this.#byte((value >>> (8 * i)) & 0xff);
    for (let i = 0; i < 4; i++) this.#byte((high >>> (8 * i)) & 0xff);
  }

  #text(tag: number, text: string): void {
    this.#byte(tag);
    const length = this.#reserve();
    const most = this.#at + mostNameBytes;
    for (const character of text) {
      if (this.#at > most - 4) break;
      this.#character(character.codePointAt(0)!);
    }
    this.#patch(length);
  }

  /** UTF-8; half a surrogate pair becomes U+FFFD. */
  #character(point: number): void {
    const code = point >= 0xd800 && point < 0xe000 ? 0xfffd : point;
    if (code < 0x80) {
      this.#byte(code);
      return;
    }
    const more = code < 0x800 ? 1 : code < 0x1_0000 ? 2 : 3;
    this.#byte(((0xff00 >>> (more + 1)) & 0xff) | (code >>> (6 * more)));
    for (let i = more - 1; i >= 0; i--) this.#byte(0x80 | ((code >>> (6 * i)) & 0x3f));
  }
}
