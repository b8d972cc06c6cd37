import { Growing } from "./growing.ts";
import { type NameId, type TrackId, TrackEventType } from "./perfetto.ts";
import type { TimelineData, TimelineTrack } from "./timeline-data.ts";
import { laneColumns } from "./timeline-lanes.ts";
import { type TimelineWriter, threadsGroup } from "./timeline-writer.ts";

/** Slices and instants that are kept unless told: some 100 bytes each. */
const usualLimit = 2_000_000;
/** A row that was left out. */
const none = -1;

/** Keeps a timeline in columns, for whoever draws it. */
export class TimelineStore implements TimelineWriter {
  readonly #limit: number;
  readonly #tracks: TimelineTrack[] = [];
  readonly #names = new Interned();
  readonly #valueNames = new Interned();
  /** Rows of the slices that are open on each track, outermost first. */
  readonly #open: number[][] = [];

  readonly #start = new Growing(Float64Array);
  readonly #end = new Growing(Float64Array);
  readonly #first = new Growing(Int32Array);
  readonly #last = new Growing(Int32Array);
  readonly #track = new Growing(Int32Array);
  readonly #depth = new Growing(Uint16Array);
  readonly #name = new Growing(Int32Array);
  readonly #valueFrom = new Growing(Int32Array);
  readonly #valueName = new Growing(Int32Array);
  readonly #valueLow = new Growing(Int32Array);
  readonly #valueHigh = new Growing(Int32Array);
  readonly #valueHex = new Growing(Uint8Array);
  readonly #flowId = new Growing(Int32Array);
  readonly #flowRow = new Growing(Int32Array);
  readonly #flowLast = new Growing(Uint8Array);

  /** The event that is being written is kept, and takes values and flows. */
  #kept = false;
  #events = 0;
  #from = Infinity;
  #to = -Infinity;
  #leftOut = 0;

  /** @param limit slices and instants that are kept; what begins later is counted alone. */
  constructor(limit: number = usualLimit) {
    this.#limit = limit;
  }

  /** Slices and instants so far, those that were left out too. */
  get rows(): number {
    return this.#start.length + this.#leftOut;
  }

  track(name: string, parent: TrackId = 0, rank = 0): TrackId {
    const above = this.#tracks[parent - 1];
    this.#open.push([]);
    return this.#tracks.push({
      name,
      parent: parent - 1,
      rank,
      thread: above !== undefined && above.parent < 0 && above.name === threadsGroup,
    });
  }

  name(text: string): NameId {
    return this.#names.number(text);
  }

  valueName(text: string): NameId {
    return this.#valueNames.number(text);
  }

  event(type: TrackEventType, time: number, track: TrackId, name: NameId): void {
    const open = this.#open[track - 1]!;
    if (type === TrackEventType.end) {
      this.#kept = false;
      const row = open.pop();
      if (row === undefined || row === none) return;
      this.#end.set(row, time);
      this.#last.set(row, this.#events++);
      this.#to = Math.max(this.#to, time);
      return;
    }
    this.#kept = this.#start.length < this.#limit;
    if (type === TrackEventType.begin) open.push(this.#kept ? this.#start.length : none);
    if (!this.#kept) {
      this.#leftOut++;
      return;
    }
    const instant = type === TrackEventType.instant;
    this.#start.push(time);
    this.#end.push(instant ? time : NaN);
    this.#first.push(this.#events);
    this.#last.push(instant ? this.#events : none);
    this.#events++;
    this.#track.push(track - 1);
    this.#depth.push(open.length - (instant ? 0 : 1));
    this.#name.push(name - 1);
    this.#valueFrom.push(this.#valueName.length);
    this.#from = Math.min(this.#from, time);
    this.#to = Math.max(this.#to, time);
  }

  /** @param id up to 2^31. */
  flow(id: number): void {
    this.#addFlow(id, 0);
  }

  /** @param id up to 2^31. */
  lastFlow(id: number): void {
    this.#addFlow(id, 1);
  }

  integer(name: NameId, value: number): void {
    this.#addValue(name, value, value < 0 ? -1 : 0, 0);
  }

  hex(name: NameId, low: number, high: number): void {
    this.#addValue(name, low, high, 1);
  }

  close(): void {
    this.#kept = false;
  }

  finish(): void {}

  /** All that was kept, in columns of their own. */
  data(): TimelineData {
    const end = this.#end.taken();
    const last = this.#last.taken();
    for (const row of this.#open.flat()) {
      if (row === none) continue;
      end[row] = this.#to;
      last[row] = this.#events;
    }
    this.#valueFrom.push(this.#valueName.length);
    const valueFrom = this.#valueFrom.taken();
    this.#valueFrom.length--;
    const columns = {
      start: this.#start.taken(),
      end,
      first: this.#first.taken(),
      last,
      track: this.#track.taken(),
      depth: this.#depth.taken(),
    };
    return {
      tracks: this.#tracks,
      names: this.#names.texts,
      valueNames: this.#valueNames.texts,
      ...columns,
      name: this.#name.taken(),
      valueFrom,
      valueName: this.#valueName.taken(),
      valueLow: this.#valueLow.taken(),
      valueHigh: this.#valueHigh.taken(),
      valueHex: this.#valueHex.taken(),
      ...this.#flows(),
      ...laneColumns(columns),
      events: this.#events,
      from: this.#events === 0 ? 0 : this.#from,
      to: this.#events === 0 ? 0 : this.#to,
      leftOut: this.#leftOut,
    };
  }

  #addFlow(id: number, last: number): void {
    if (!this.#kept) return;
    this.#flowId.push(id);
    this.#flowRow.push(this.#start.length - 1);
    this.#flowLast.push(last);
  }

  #addValue(name: NameId, low: number, high: number, hex: number): void {
    if (!this.#kept) return;
    this.#valueName.push(name - 1);
    this.#valueLow.push(low);
    this.#valueHigh.push(high);
    this.#valueHex.push(hex);
  }

  #flows(): Pick<TimelineData, "flowId" | "flowRow" | "flowLast" | "flowByRow"> {
    const { length } = this.#flowId;
    // One number of flow and point: typed arrays sort those much faster than by a function.
    const scale = 2 ** Math.ceil(Math.log2(length + 1));
    const sorted = Float64Array.from({ length }, (_, i) => this.#flowId.get(i) * scale + i).sort();
    const flowId = new Int32Array(length);
    const flowRow = new Int32Array(length);
    const flowLast = new Uint8Array(length);
    const flowByRow = new Int32Array(length);
    for (let at = 0; at < length; at++) {
      const i = sorted[at]! % scale;
      flowId[at] = this.#flowId.get(i);
      flowRow[at] = this.#flowRow.get(i);
      flowLast[at] = this.#flowLast.get(i);
      flowByRow[i] = at;
    }
    return { flowId, flowRow, flowLast, flowByRow };
  }
}

/** Texts by their numbers, from 1. */
class Interned {
  readonly texts: string[] = [];
  readonly #numbers = new Map<string, NameId>();

  number(text: string): NameId {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.texts.push(text);
      this.#numbers.set(text, number);
    }
    return number;
  }
}
