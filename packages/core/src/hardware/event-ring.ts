import { type EventKind, type HardwareEvent, type Observer, decodeEvent } from "./event.ts";

const wordShift = 3;

/** An observer that keeps the last events as integers, and reads them out as objects when it is asked. */
export class EventRing implements Observer {
  readonly #words: Int32Array;
  readonly #mask: number;
  #recorded = 0;

  /**
   * @param capacity a power of two: how many events are kept.
   * @throws RangeError when it is none, or above 2^24.
   */
  constructor(capacity = 4096) {
    if (!Number.isInteger(Math.log2(capacity)) || capacity < 1 || capacity > 2 ** 24) {
      throw new RangeError(`event ring: capacity ${capacity}, want a power of two up to 2^24`);
    }
    this.#words = new Int32Array(capacity << wordShift);
    this.#mask = capacity - 1;
  }

  /** How many events were recorded, the forgotten ones included. */
  get recorded(): number {
    return this.#recorded;
  }

  record(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void {
    const words = this.#words;
    const at = (this.#recorded & this.#mask) << wordShift;
    this.#recorded++;
    words[at] = kind;
    words[at + 1] = a;
    words[at + 2] = b;
    words[at + 3] = c;
    words[at + 4] = d;
    words[at + 5] = e;
    words[at + 6] = f;
  }

  /** The events that are still kept, oldest first. */
  events(): HardwareEvent[] {
    const kept = Math.min(this.#recorded, this.#mask + 1);
    return Array.from({ length: kept }, (_, i) =>
      decodeEvent(this.#words, ((this.#recorded - kept + i) & this.#mask) << wordShift),
    );
  }
}
