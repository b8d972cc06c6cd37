import { InputError } from "../input-error.ts";
import { traceEvents } from "./events.ts";
import type { TraceHandler, Vendor } from "./handler.ts";
import { ignoredEvents } from "./known.ts";
import { Names, furtherNames, hashStart, hashStep, textOf } from "./names.ts";
import { Pattern, fieldLimit } from "./pattern.ts";

/** A line longer than this is not a line of a trace. */
export const lineLimit = 65_536;

/** Takes an event as bytes of its line: its name up to `nameEnd`, and its arguments up to `to`. */
export type OtherEvents = (bytes: Uint8Array, from: number, nameEnd: number, to: number) => void;

/** Lines that could not be used, and the first of them. */
export interface Skipped {
  readonly count: number;
  readonly line: number;
}

export interface TraceSummary {
  readonly lines: number;
  /** Events that nobody asked for, by name. */
  readonly ignored: Readonly<Record<string, number>>;
  /** Lines that were not understood, by reason. */
  readonly skipped: Readonly<Record<string, Skipped>>;
}

const newline = 0x0a;
const foreignLine = "not a trace line";
const patterns = traceEvents.map((event) => new Pattern(event.format));
const eventNames = traceEvents.map((event) => event.name);

/**
 * Reads a QEMU trace log (the `log` backend, with or without time stamps) as bytes, in chunks cut anywhere, and calls
 * a handler for each event that it asks for. Nothing is allocated for a line, and no more than one line is kept.
 */
export class QemuTraceReader {
  /** The vendor of the unit, from the first event that tells. */
  vendor: Vendor | undefined;
  /** Lines seen so far. */
  lines = 0;
  /** True while the last line of a log that does not end in a newline is read: it may have been cut off. */
  cutOff = false;

  readonly #names = new Names(eventNames);
  readonly #fields = new Int32Array(fieldLimit);
  readonly #skipped = new Map<string, { count: number; line: number }>();
  readonly #handlerOf: (vendor: Vendor) => TraceHandler;
  readonly #others: OtherEvents | undefined;
  #handler: TraceHandler | undefined;
  readonly #carry = new Uint8Array(lineLimit + 1);
  #carried = 0;
  /** The line that is read, and where its stamp stands in it. */
  #stampLine: Uint8Array = this.#carry;
  #stampFrom = 0;
  #stampTo = 0;

  /**
   * @param handlerOf gives the handler once the vendor is known; events before that go unread.
   * @param others takes the events that the handler does not ask for, and those before there is one.
   */
  constructor(handlerOf: (vendor: Vendor) => TraceHandler, others?: OtherEvents) {
    this.#handlerOf = handlerOf;
    this.#others = others;
  }

  /** @throws InputError on binary input, and on a line longer than {@link lineLimit}. */
  feed(chunk: Uint8Array): void {
    const length = chunk.length;
    let at = 0;
    if (this.#carried > 0) {
      const end = chunk.indexOf(newline);
      this.#keep(chunk, 0, end < 0 ? length : end);
      if (end < 0) return;
      this.#lastCarried();
      at = end + 1;
    }
    while (at < length) {
      const next = this.#line(chunk, at, length);
      if (next < 0) {
        this.#keep(chunk, at, length);
        return;
      }
      at = next;
    }
  }

  /** Ends the input. A last line without its newline is read as it stands, with {@link cutOff} set. */
  end(): void {
    if (this.#carried === 0) return;
    this.cutOff = true;
    this.#lastCarried();
  }

  /** Microseconds that the stamp of the line that is read says; -1 for a line without one. */
  get stamp(): number {
    if (this.#stampFrom === this.#stampTo) return -1;
    const text = textOf(this.#stampLine, this.#stampFrom, this.#stampTo);
    const [, seconds, micros] = /^\d{1,10}@(\d{1,10})\.(\d{6}):$/.exec(text) ?? [];
    return seconds === undefined ? -1 : Number(seconds) * 1e6 + Number(micros);
  }

  /** Counts a line that cannot be used. */
  skip(reason: string, line: number): void {
    const row = this.#skipped.get(reason);
    if (row === undefined) this.#skipped.set(reason, { count: 1, line });
    else row.count++;
  }

  /** What was not used, and why. */
  summary(): TraceSummary {
    const ignored: Record<string, number> = {};
    const skipped: Record<string, Skipped> = Object.fromEntries(this.#skipped);
    traceEvents.forEach(({ name, method }, id) => {
      const count = this.#names.countOf(id);
      if (count > 0 && this.#handler?.[method] === undefined) ignored[name] = count;
    });
    for (const { name, count, line } of this.#names.learned()) {
      if (ignoredEvents.has(name)) ignored[name] = count;
      else if (name.includes("_") || name === furtherNames)
        skipped[`unknown event ${name}`] = { count, line };
      else add(skipped, foreignLine, count, line);
    }
    return { lines: this.lines, ignored, skipped };
  }

  #keep(chunk: Uint8Array, from: number, to: number): void {
    if (this.#carried + to - from > lineLimit) {
      throw new InputError(
        `line ${this.lines + 1} is longer than ${lineLimit} bytes: expected the text of a QEMU trace log`,
      );
    }
    this.#carry.set(chunk.subarray(from, to), this.#carried);
    this.#carried += to - from;
  }

  #lastCarried(): void {
    this.#carry[this.#carried] = newline;
    const length = this.#carried + 1;
    this.#carried = 0;
    this.#line(this.#carry, 0, length);
  }

  /** Reads the line that starts at `from`. Returns where the next one starts; -1 if this one is not complete. */
  #line(bytes: Uint8Array, from: number, length: number): number {
    let at = classes[bytes[from]!] === digit ? afterStamp(bytes, from, length) : from;
    const start = at;
    this.#stampLine = bytes;
    this.#stampFrom = from;
    this.#stampTo = at;
    let hash = hashStart;
    while (at < length) {
      const byte = bytes[at]!;
      if (classes[byte] === 0) break;
      hash = hashStep(hash, byte);
      at++;
    }
    const nameEnd = at;
    while (at < length && bytes[at] !== newline) at++;
    if (at === length) return -1;

    const line = ++this.lines;
    const next = at + 1;
    if (at > from && bytes[at - 1] === 0x0d) at--;
    if (nameEnd > start && (nameEnd >= at || bytes[nameEnd] === 0x20)) {
      const id = this.#names.count(bytes, start, nameEnd, hash, line);
      const used = id >= 0 && this.#event(id, bytes, nameEnd < at ? nameEnd + 1 : at, at, line);
      if (!used && this.#others !== undefined) this.#others(bytes, start, nameEnd, at);
    } else if (at > from) {
      this.#foreign(bytes, from, at, line);
    }
    return next;
  }

  /** False if nobody asks for it. */
  #event(id: number, bytes: Uint8Array, at: number, end: number, line: number): boolean {
    const event = traceEvents[id]!;
    if (event.vendor !== this.vendor && event.vendor !== undefined) {
      if (this.vendor !== undefined) {
        this.skip(`${event.name}: event of another vendor's unit`, line);
        return true;
      }
      this.vendor = event.vendor;
      this.#handler = this.#handlerOf(event.vendor);
    }
    const handler = this.#handler;
    if (handler === undefined || handler[event.method] === undefined) return false;
    if (patterns[id]!.match(bytes, at, end, this.#fields)) {
      event.emit(handler, line, this.#fields, bytes);
      return true;
    }
    this.skip(`malformed ${event.name}`, line);
    handler.malformed?.(line, event.method);
    return true;
  }

  /** A line that does not begin with an event's name: text of the guest or of QEMU, or no text at all. */
  #foreign(bytes: Uint8Array, from: number, end: number, line: number): void {
    for (let i = from; i < end; i++) {
      if (bytes[i] === 0) throw new InputError(binaryMessage(bytes, from, end, line));
    }
    this.skip(foreignLine, line);
  }
}

function binaryMessage(bytes: Uint8Array, from: number, end: number, line: number): string {
  const simple = line === 1 && end - from >= 8 && textOf(bytes, from, from + 8) === "\xff".repeat(8);
  return simple
    ? "the input is a binary log of QEMU's `simple` trace backend: expected text, as the `log` backend writes it"
    : `line ${line} holds zero bytes: expected the text of a QEMU trace log`;
}

function add(rows: Record<string, Skipped>, reason: string, count: number, line: number): void {
  const row = rows[reason];
  rows[reason] =
    row === undefined ? { count, line } : { count: row.count + count, line: Math.min(row.line, line) };
}

/** Where the name starts behind `pid@seconds.microseconds:`; `from` if there is no such stamp. */
function afterStamp(bytes: Uint8Array, from: number, length: number): number {
  let at = from;
  while (at < length && (classes[bytes[at]!] === digit || bytes[at] === 0x40 || bytes[at] === 0x2e)) at++;
  return at < length && bytes[at] === 0x3a ? at + 1 : from;
}

const letter = 1;
const digit = 2;

/** What a byte may be in a name: a small letter or underscore, a digit, or nothing. */
const classes = Uint8Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  if (char >= "0" && char <= "9") return digit;
  return char === "_" || (char >= "a" && char <= "z") ? letter : 0;
});
