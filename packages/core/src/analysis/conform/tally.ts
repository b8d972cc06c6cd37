import type { Deviation } from "./broken-rules.ts";
import { narrowlyCompared, sameSights } from "./compare.ts";
import type { DeviationFinder } from "./deviation-finder.ts";
import type { CaseRecord, Recording } from "./recording.ts";
import type { Sight } from "./sight.ts";

/** A case on its way through the machine. */
export interface Planned extends Recording {
  readonly record: CaseRecord;
}

interface Seen {
  /** Cases in which the deviation had a part. */
  cases: number;
  /** The case with the fewest deeds, those with no other deviation before the others. */
  smallest: CaseRecord;
  alone: boolean;
  deeds: number;
}

/** What cannot be compared. */
export const unseen = {
  destination: "destination bits above 7 as local APICs were handed them",
  records: "fault records, which the machine does not write",
} as const;

const recordFault = 1n << 63n;

/** Keeps account of what came of the cases. */
export class Tally {
  agreed = 0;
  deviating = 0;
  disagreed = 0;
  apicsCompared = 0;
  readonly modelOnly: Record<string, number> = {};
  readonly modelFailed: string[] = [];
  readonly notCompared: Record<string, number> = {};
  readonly known = new Map<Deviation, Seen>();
  /** The first cases that nothing explains. */
  readonly unexplained: CaseRecord[] = [];
  readonly #finder: DeviationFinder;
  readonly #recordsHidden: boolean;
  readonly #most: number;
  #leftOut = 0;

  /** @param most how many unexplained cases are kept. */
  constructor(finder: DeviationFinder, recordsHidden: boolean, most: number) {
    this.#finder = finder;
    this.#recordsHidden = recordsHidden;
    this.#most = most;
  }

  /** Cases of which the verdict is known. */
  get done(): number {
    return this.compared + this.#leftOut;
  }

  get compared(): number {
    return this.agreed + this.deviating + this.disagreed;
  }

  leaveOut(reason: string): void {
    this.#leftOut++;
    increase(this.modelOnly, reason);
  }

  /** Takes what was seen of a case on the machine. */
  judge({ record, script, sights }: Planned, got: readonly Sight[]): void {
    if (script.scenes.some(({ apics }) => apics)) this.apicsCompared++;
    if (!sameSights(sights, got)) {
      this.disagreed++;
      if (this.unexplained.length < this.#most) this.unexplained.push(record);
      return;
    }
    if (narrowlyCompared(sights, got)) increase(this.notCompared, unseen.destination);
    const strict = this.#finder.strict(script);
    if (this.#recordsHidden && strict.some(hasRecord)) increase(this.notCompared, unseen.records);
    // Held against what the model does: what the machine does not show makes no deviation.
    if (sameSights(strict, sights)) {
      this.agreed++;
      return;
    }
    this.deviating++;
    const deeds = script.scenes.reduce((sum, scene) => sum + 1 + scene.deeds.length, 0);
    const set = this.#finder.explain(script, strict, sights);
    for (const flag of set) this.#see(flag, set.length === 1, deeds, record);
  }

  #see(flag: Deviation, alone: boolean, deeds: number, record: CaseRecord): void {
    const seen = this.known.get(flag);
    if (seen === undefined) {
      this.known.set(flag, { cases: 1, smallest: record, alone, deeds });
      return;
    }
    seen.cases++;
    const better = alone === seen.alone ? deeds < seen.deeds : alone;
    if (better) Object.assign(seen, { smallest: record, alone, deeds });
  }
}

function increase(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

/** VT-d: whether some fault record has its F set. */
function hasRecord({ faults }: Sight): boolean {
  return faults.some((half, i) => i > 0 && i % 2 === 0 && (half & recordFault) !== 0n);
}
