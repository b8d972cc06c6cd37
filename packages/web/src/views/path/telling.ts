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

export function walkOf(tellings: readonly Telling[], pairs: readonly WalkRow[]): Walk {
  const rows = tellings.length === 1 ? tellings[0]!.steps.map((_, at) => [at]) : pairs;
  const told = tellings.some(({ episodes }) => episodes.length > 0);
  return {
    tellings,
    rows,
    episodeStarts: told ? firstsOf(tellings, rows, ({ episode }) => episode) : [],
    interruptStarts: firstsOf(tellings, rows, ({ request }) => request),
  };
}

/** The step of one side at a row, or the last before it; null before its first. */
export function stepAt({ rows }: Walk, side: number, row: number): { index: number; here: boolean } | null {
  for (let at = row; at >= 0; at--) {
    const index = rows[at]?.[side];
    if (index !== null && index !== undefined) return { index, here: at === row };
  }
  return null;
}

/** The next of some rows, or the one before; where there is none, one stays. */
export function neighbour(starts: readonly number[], at: number, way: 1 | -1): number {
  const next = way === 1 ? starts.find((one) => one > at) : starts.findLast((one) => one < at);
  return next ?? at;
}

/** Where one arrives, if the address does not say at which step. */
export interface Arrival {
  /** At the first step of an interrupt, by its number. */
  readonly request?: string;
  /** At a moment, in modelled nanoseconds. */
  readonly at?: string;
  /** At the first step in a call of a function. */
  readonly calls?: string;
}

export function arrivalRow(walk: Walk, { request, at, calls }: Arrival): number {
  const found = walk.rows.findIndex(([left = null]) => {
    const step = left === null ? undefined : walk.tellings[0]!.steps[left];
    if (step === undefined) return false;
    return request === undefined
      ? calls !== undefined && step.stack.includes(calls)
      : String(step.request) === request;
  });
  if (found >= 0) return found;
  return at !== undefined && /^\d{1,15}(\.\d*)?$/.test(at) ? rowAt(walk, Number(at)) : 0;
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
