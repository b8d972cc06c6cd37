import { type Hazard, hazardLimit } from "./hazard.ts";
import type { HazardList } from "./hazard-list.ts";
import type { Gap } from "./vtd-queue-watch.ts";

/**
 * Gaps of the invalidation queue. A gap may be what another hazard shows better: an entry that is used stale, because
 * its invalidation fell into the gap. Hence they wait for the end of the trace, and what is explained is left out.
 */
export class QueueGaps {
  readonly #hazards: HazardList;
  #gaps: Gap[] = [];
  readonly #explained: { readonly since: number; readonly at: number }[] = [];

  constructor(hazards: HazardList) {
    this.#hazards = hazards;
  }

  add(gap: Gap): void {
    if (this.#gaps.length < hazardLimit) this.#gaps.push(gap);
    else this.#report(gap);
  }

  /** A hazard that a missing invalidation between its two lines accounts for. */
  explain({ at, since }: Hazard): void {
    if (this.#explained.length < hazardLimit) this.#explained.push({ since: since ?? at, at });
  }

  clear(): void {
    this.#gaps = [];
  }

  /** Reports the gaps that nothing explains. */
  finish(): void {
    for (const gap of this.#gaps) {
      if (!this.#explained.some(({ since, at }) => since <= gap.at && gap.since <= at)) this.#report(gap);
    }
    this.#gaps = [];
  }

  #report({ since, at, found }: Gap): void {
    this.#hazards.add(
      {
        rule: "vtd.check.invalidation-missing",
        index: null,
        requester: null,
        at,
        since: since === 0 || since === at ? null : since,
        found,
        fix: "queue the invalidation before its wait; if it was queued, the queue stopped (FSTS.IQE, IQERCD): clear the error and queue it again",
      },
      "each",
    );
  }
}
