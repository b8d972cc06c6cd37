import { ruleOf } from "../spec/rules.ts";
import type { FaultCount } from "./result.ts";
import { type UnitFault, faultLabel } from "./watched-unit.ts";

/** Requests that the remapping unit blocked, by what they broke. */
export class FaultTally {
  readonly #counts = new Map<string, { fault: UnitFault; count: number }>();
  total = 0;

  count(fault: UnitFault): void {
    this.total++;
    const key = `${faultLabel(fault)} ${fault.rule}`;
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { fault, count: 1 });
    else known.count++;
  }

  /** How many of one label. */
  of(label: string): number {
    let sum = 0;
    for (const { fault, count } of this.#counts.values()) if (faultLabel(fault) === label) sum += count;
    return sum;
  }

  /** The commonest first. */
  list(): FaultCount[] {
    return [...this.#counts.values()]
      .map(({ fault, count }) => ({
        fault: faultLabel(fault),
        rule: fault.rule,
        section: ruleOf(fault.rule).section,
        count,
      }))
      .sort((left, right) => right.count - left.count);
  }
}
