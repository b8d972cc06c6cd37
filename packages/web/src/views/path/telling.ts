import type { Episode, WalkStep } from "@intremap/core";

/** One run, or one request, as it is stepped through. */
export interface Telling {
  /** Which of two it is, in a few words. */
  readonly name: string;
  readonly title: string;
  readonly steps: readonly WalkStep[];
  readonly episodes: readonly Episode[];
  /** Steps that the run had beside these. */
  readonly leftOut: number;
  /** The moments of its steps mean something, and not only their order. */
  readonly timed: boolean;
  /** How the view Timeline is asked for the same run; null where it has none. */
  readonly timeline: Readonly<Record<string, string>> | null;
}

/** One row of the list: what happened at the same moment of two runs, or the step of the one; null where a run has none. */
export type WalkRow = readonly (number | null)[];

/** Rows with what is needed to go through them. */
export interface Walk {
  readonly tellings: readonly Telling[];
  readonly rows: readonly WalkRow[];
  /** Rows with which an episode begins, ascending. */
  readonly episodeStarts: readonly number[];
  /** Rows with which an interrupt begins, ascending. */
  readonly interruptStarts: readonly number[];
  /** For each side and row: its step there, or the last before; -1 before its first. */
  readonly reached: readonly Int32Array[];
}

function leadStep(tellings: readonly Telling[], row: WalkRow): WalkStep | undefined {
  const side = row.findIndex((at) => at !== null);
  return side < 0 ? undefined : tellings[side]!.steps[row[side]!];
}

/** Rows at which a step has something that none before it had. */
function firstsOf(
  tellings: readonly Telling[],
  rows: readonly WalkRow[],
  of: (step: WalkStep) => number | null,
): number[] {
  const seen = new Set<number>();
  const starts: number[] = [];
  for (const [at, row] of rows.entries()) {
    const step = leadStep(tellings, row);
    const value = step === undefined ? null : of(step);
    if (value === null || seen.has(value)) continue;
    seen.add(value);
    starts.push(at);
  }
  return starts;
}

function reachedBy(rows: readonly WalkRow[], side: number): Int32Array {
  let last = -1;
  return Int32Array.from(rows, (row) => (last = row[side] ?? last));
}

export function walkOf(tellings: readonly Telling[], pairs: readonly WalkRow[]): Walk {
  const rows = tellings.length === 1 ? tellings[0]!.steps.map((_, at) => [at]) : pairs;
  const told = tellings.some(({ episodes }) => episodes.length > 0);
  return {
    tellings,
    rows,
    episodeStarts: told ? firstsOf(tellings, rows, ({ episode }) => episode) : [],
    interruptStarts: firstsOf(tellings, rows, ({ request }) => request),
    reached: tellings.map((_, side) => reachedBy(rows, side)),
  };
}

/** The step of one side at a row, or the last before it; null before its first. */
export function stepAt(
  { rows, reached }: Walk,
  side: number,
  row: number,
): { index: number; here: boolean } | null {
  const index = reached[side]![row] ?? -1;
  return index < 0 ? null : { index, here: rows[row]![side] === index };
}

/** How many of some ascending rows come before one. */
export function countBefore(starts: readonly number[], at: number): number {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle]! < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The next of some ascending rows, or the one before; where there is none, one stays. */
export function neighbour(starts: readonly number[], at: number, way: 1 | -1): number {
  return starts[way === 1 ? countBefore(starts, at + 1) : countBefore(starts, at) - 1] ?? at;
}

/** Where one arrives, if the address does not say at which step. */
export interface Arrival {
  /** At the first step of an interrupt, by its number. */
  readonly request?: string | undefined;
  /** At a moment, in modelled nanoseconds. */
  readonly at?: string | undefined;
  /** At the first step in a call of a function. */
  readonly calls?: string | undefined;
}

/** Where one has come to, and what was asked for that the walk does not have. */
export interface Arrived {
  readonly row: number;
  readonly missed: string | null;
}

export function arrivalRow(walk: Walk, { request, at, calls }: Arrival): Arrived {
  const found = walk.rows.findIndex(([left = null]) => {
    const step = left === null ? undefined : walk.tellings[0]!.steps[left];
    if (step === undefined) return false;
    return request === undefined
      ? calls !== undefined && step.stack.includes(calls)
      : String(step.request) === request;
  });
  if (found >= 0) return { row: found, missed: null };
  if (at !== undefined && /^\d{1,15}(\.\d*)?$/.test(at))
    return { row: rowAt(walk, Number(at)), missed: null };
  const missed =
    request === undefined ? null : `No step that is kept is of interrupt ${request.slice(0, 20)}`;
  return { row: 0, missed };
}

/** The last row that does not lie after a moment, in modelled nanoseconds. */
export function rowAt({ tellings, rows }: Walk, at: number): number {
  const after = rows.findIndex((row) => (leadStep(tellings, row)?.at ?? 0) > at);
  return after < 0 ? rows.length - 1 : Math.max(0, after - 1);
}

/** Of steps that are not a machine's run: one after the other, at no moment. */
export function untimed(title: string, steps: readonly WalkStep[]): Telling {
  return { name: "", title, steps, episodes: [], leftOut: 0, timed: false, timeline: null };
}
