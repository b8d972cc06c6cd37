import type { Fact } from "../../evidence/host/fact.ts";
import type { Evidence, Found } from "./check.ts";

/** Findings of one check that are kept; the rest is counted. */
export const foundLimit = 200;

/** What one check looked at, what it found, and what it could not see. */
export class Look {
  readonly found: Found[] = [];
  /** What it looked at: units, entries, devices …; 0 when there was nothing to look at. */
  looked = 0;
  /** Findings past {@link foundLimit}. */
  omitted = 0;
  readonly #lacks = new Set<string>();

  at(count = 1): void {
    this.looked += count;
  }

  add(found: Found): void {
    if (this.found.length < foundLimit) this.found.push(found);
    else this.omitted++;
  }

  /** Something that would have been looked at is not known; the same thing is said once. */
  lacks(what: string): void {
    if (this.#lacks.size < foundLimit) this.#lacks.add(what);
  }

  get missing(): readonly string[] {
    return [...this.#lacks];
  }
}

/** A fact as evidence. */
export function shows(fact: Fact<unknown>, what: string): Evidence {
  return { what, origin: fact.origin };
}
