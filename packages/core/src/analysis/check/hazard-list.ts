import type { RuleId } from "../../spec/rules.ts";
import { type Hazard, hazardLimit } from "./hazard.ts";

/**
 * Which hazards have one cause, and are one: those of the same rule at the same entry, all of the rule, or none.
 */
export type Scope = "entry" | "unit" | "each";

interface Slot {
  readonly hazard: Hazard;
  readonly scope: Scope;
  times: number;
}

/** Hazards past this are not held against the ones before them. */
const keyLimit = 2 ** 17;

/** The hazards of one trace: each cause once, in bounded memory. */
export class HazardList {
  readonly #slots: Slot[] = [];
  /** By cause, its slot; null for one that is only counted. */
  readonly #byCause = new Map<string, Slot | null>();
  readonly #counts = new Map<RuleId, number>();

  /** Causes so far. */
  get count(): number {
    let sum = 0;
    for (const count of this.#counts.values()) sum += count;
    return sum;
  }

  /** Adds what was found. A hazard whose cause is known already is counted there, and the first one stands. */
  add(hazard: Hazard, scope: Scope = "entry"): void {
    const { rule, requester, index } = hazard;
    if (scope !== "each") {
      const cause = scope === "unit" ? rule : `${rule} ${requester} ${index}`;
      const known = this.#byCause.get(cause);
      if (known !== undefined) {
        if (known !== null) known.times++;
        return;
      }
      if (this.#byCause.size < keyLimit) this.#byCause.set(cause, this.#keep(hazard, scope));
    } else this.#keep(hazard, scope);
    this.#counts.set(rule, (this.#counts.get(rule) ?? 0) + 1);
  }

  /** Takes every hazard of a rule back. @returns how many there were. */
  withdraw(rule: RuleId): number {
    const count = this.#counts.get(rule) ?? 0;
    this.#counts.delete(rule);
    const kept = this.#slots.filter(({ hazard }) => hazard.rule !== rule);
    this.#slots.splice(0, this.#slots.length, ...kept);
    return count;
  }

  /** The first {@link hazardLimit}, in the order of `at`. */
  rows(): Hazard[] {
    return this.#slots
      .map(({ hazard, scope, times }) =>
        times === 1 ? hazard : { ...hazard, found: `${hazard.found}${repeated(scope, times)}` },
      )
      .sort((a, b) => a.at - b.at)
      .slice(0, hazardLimit);
  }

  #keep(hazard: Hazard, scope: Scope): Slot | null {
    // Some are only known at the end of the trace, and may have been earlier ones: hence room for as many again.
    if (this.#slots.length >= 2 * hazardLimit) return null;
    const slot = { hazard, scope, times: 1 };
    this.#slots.push(slot);
    return slot;
  }
}

/** What is said of a hazard that came up more than once. */
function repeated(scope: Scope, times: number): string {
  return scope === "unit" ? `; ${times} such in all` : `; ${times} times in all`;
}
