import type { NameId, TrackEventType, TrackId } from "./perfetto.ts";

/** The track under which the threads stand, whose slices are calls. */
export const threadsGroup = "threads";

/** Takes a timeline, event by event: each between {@link event} and {@link close}. Times are nanoseconds. */
export interface TimelineWriter {
  /** @param parent the track that it stands under; 0 for none. @param rank sorts those under one parent. */
  track(name: string, parent?: TrackId, rank?: number): TrackId;
  /** The number of a name, which stays the same. */
  name(text: string): NameId;
  /** The same of a value's name. */
  valueName(text: string): NameId;
  /** @param name 0 for an end. */
  event(type: TrackEventType, time: number, track: TrackId, name: NameId): void;
  /** The event is one of a flow's. */
  flow(id: number): void;
  /** And its last. */
  lastFlow(id: number): void;
  integer(name: NameId, value: number): void;
  hex(name: NameId, low: number, high: number): void;
  close(): void;
  finish(): void;
}
