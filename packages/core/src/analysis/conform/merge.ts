import { profileNamed } from "./model.ts";
import type { ConformResult, KnownDeviation, Unexplained } from "./result.ts";

/** Disagreements that a result tells of one by one. */
export const mostUnexplained = 20;

/**
 * Makes one result of those of the shares of a run: counts are added, a deviation is shown by the smallest of its examples,
 * and the time is that of the share that took longest, as all are run at once.
 * @param results of the same target and seed; at least one.
 */
export function mergeResults(results: readonly ConformResult[]): ConformResult {
  const sum = (of: (result: ConformResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const { target, vendor, profile, seed } = results[0]!;
  const flags: readonly string[] = profileNamed(vendor, profile)?.deviations ?? [];
  const compared = sum((one) => one.compared);
  const seconds = Math.max(...results.map((one) => one.seconds));
  return {
    target,
    vendor,
    profile,
    seed,
    cases: sum((one) => one.cases),
    corpus: sum((one) => one.corpus),
    generated: sum((one) => one.generated),
    compared,
    agreed: sum((one) => one.agreed),
    deviating: sum((one) => one.deviating),
    disagreed: sum((one) => one.disagreed),
    known: mergeKnown(results).sort((a, b) => flags.indexOf(a.flag) - flags.indexOf(b.flag)),
    unexplained: mergeUnexplained(results.map(({ unexplained }) => unexplained)),
    modelOnly: mergeCounts(results.map(({ modelOnly }) => modelOnly)),
    modelFailed: results.flatMap(({ modelFailed }) => modelFailed).sort(),
    notCompared: mergeCounts(results.map(({ notCompared }) => notCompared)),
    apicsCompared: sum((one) => one.apicsCompared),
    seconds,
    casesPerSecond: perSecond(compared, seconds),
    aborted: results.some(({ aborted }) => aborted),
  };
}

/** Cases per second, whole; 0 where no time was measured. */
export function perSecond(cases: number, seconds: number): number {
  return seconds > 0 ? Math.round(cases / seconds) : 0;
}

function mergeKnown(results: readonly ConformResult[]): KnownDeviation[] {
  const merged = new Map<string, KnownDeviation>();
  for (const one of results.flatMap(({ known }) => known)) {
    const other = merged.get(one.flag);
    if (other === undefined) merged.set(one.flag, one);
    else {
      const smaller = size(one) < size(other) ? one : other;
      merged.set(one.flag, { ...smaller, cases: one.cases + other.cases });
    }
  }
  return [...merged.values()];
}

/** The first of each share before the second of any; examples that are the same are told of once. */
function mergeUnexplained(lists: readonly (readonly Unexplained[])[]): Unexplained[] {
  const merged = new Map<string, Unexplained>();
  const longest = Math.max(...lists.map(({ length }) => length));
  for (let at = 0; at < longest; at++) {
    for (const list of lists) {
      const one = list[at];
      if (one === undefined) continue;
      const key = exampleOf(one);
      const other = merged.get(key);
      if (other !== undefined) {
        merged.set(key, { ...other, also: [...other.also, one.id, ...one.also] });
      } else if (merged.size < mostUnexplained) merged.set(key, one);
    }
  }
  return [...merged.values()];
}

function mergeCounts(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const merged: Record<string, number> = {};
  for (const [key, times] of all.flatMap(Object.entries<number>)) merged[key] = (merged[key] ?? 0) + times;
  return merged;
}

function size({ smallest }: KnownDeviation): number {
  return JSON.stringify([smallest["setup"], smallest["steps"]]).length;
}

function exampleOf({ smallest, differences }: Unexplained): string {
  return JSON.stringify([smallest["setup"], smallest["steps"], differences]);
}
