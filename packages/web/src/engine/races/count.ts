/** How far a search is. */
export interface RaceCount {
  /** The play that is being explored. */
  readonly play: string;
  /** Which one it is, from 1, and of how many. */
  readonly nth: number;
  readonly plays: number;
  readonly states: number;
  /** Moves to the farthest state so far. */
  readonly depth: number;
  readonly statesPerSecond: number;
  readonly bytes: number;
  /** States among which rounds have been looked for; 0 until all are known. */
  readonly peeled: number;
}

export function tellCount(count: RaceCount): string {
  return JSON.stringify(count);
}

/** @returns null for what is not a count, as before the first. */
export function readCount(told: string): RaceCount | null {
  return told.startsWith("{") ? (JSON.parse(told) as RaceCount) : null;
}
