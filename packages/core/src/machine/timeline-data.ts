export interface TimelineTrack {
  readonly name: string;
  /** The number of the track that it stands under; -1 for none. */
  readonly parent: number;
  readonly rank: number;
  /** A thread: its slices are calls. */
  readonly thread: boolean;
}

/** Slices and instants of one track at one depth, none of which overlap: `rows[from]` to `rows[to - 1]`, in their order. */
export interface TimelineLane {
  readonly track: number;
  readonly depth: number;
  readonly from: number;
  readonly to: number;
}

/**
 * A timeline in columns: a row is a slice or an instant, in the order in which they began. Typed arrays and plain
 * objects alone, so that it can be handed from one thread to another.
 */
export interface TimelineData {
  readonly tracks: readonly TimelineTrack[];
  readonly names: readonly string[];
  readonly valueNames: readonly string[];

  /** Nanoseconds; those of an instant are equal. A slice that was not ended ends with the last event. */
  readonly start: Float64Array;
  readonly end: Float64Array;
  /**
   * Which of all events its begin and its end were, from 0: they order what the clock does not tell apart. Equal for
   * an instant; the last is {@link events} for a slice that was not ended.
   */
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly track: Int32Array;
  /** Slices of its track that it stands in. */
  readonly depth: Uint16Array;
  readonly name: Int32Array;

  /** Its values are those from `valueFrom[row]` up to `valueFrom[row + 1]`. */
  readonly valueFrom: Int32Array;
  readonly valueName: Int32Array;
  readonly valueLow: Int32Array;
  readonly valueHigh: Int32Array;
  /** 1: 64 bits, shown in hexadecimal; 0: an integer of 32 bits with its sign. */
  readonly valueHex: Uint8Array;

  /** Points of flows, ascending by flow and, in one flow, by row. */
  readonly flowId: Int32Array;
  readonly flowRow: Int32Array;
  /** 1: the flow ends there. */
  readonly flowLast: Uint8Array;
  /** The points by their rows, ascending. */
  readonly flowByRow: Int32Array;

  readonly lanes: readonly TimelineLane[];
  readonly rows: Int32Array;
  /** Beside {@link rows}: nanoseconds, and events, that the rows before it took. One more than there are rows. */
  readonly busy: Float64Array;
  readonly busyEvents: Float64Array;

  /** Events of all rows: begins, ends and instants. */
  readonly events: number;
  /** Nanoseconds of the first and the last event. */
  readonly from: number;
  readonly to: number;
  /** Slices and instants beyond the limit: the first ones are kept. */
  readonly leftOut: number;
}
