import { type Cost, type CostOwner, costList } from "./cost.ts";
import type { CostShare } from "./result.ts";

/** The machine's one clock: work moves it on by what it is modelled to cost. */
export class Clock {
  /** How often each cost was charged. */
  readonly #times = new Float64Array(costList.length);
  #now = 0;

  /** Modelled nanoseconds since the machine was turned on. */
  get now(): number {
    return this.#now;
  }

  /** Work is done, perhaps several times. */
  charge(cost: Cost, times = 1): void {
    this.#times[cost.index] = this.#times[cost.index]! + times;
    this.#now += cost.nanoseconds * times;
  }

  /** Time passes without work. */
  wait(nanoseconds: number): void {
    this.#now += Math.max(0, nanoseconds);
  }

  /** All that was charged to one of those who work. */
  cycles(owner: CostOwner = "host"): number {
    return costList.reduce(
      (sum, cost) => (cost.owner === owner ? sum + cost.cycles * this.#times[cost.index]! : sum),
      0,
    );
  }

  /** What was charged, the largest share first. */
  shares(): CostShare[] {
    return costList
      .map(({ name, owner, cycles, source, index }) => {
        const times = this.#times[index]!;
        return { name, owner, times, cycles: cycles * times, source };
      })
      .filter(({ times }) => times > 0)
      .sort((left, right) => right.cycles - left.cycles);
  }
}
