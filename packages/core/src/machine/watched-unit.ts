import type { AmdviFault } from "../hardware/amdvi/fault.ts";
import { Outcome, type RemappingUnit } from "../hardware/delivery.ts";
import type { VtdFault } from "../hardware/vtd/fault.ts";

export type UnitFault = VtdFault | AmdviFault;

type Unit = RemappingUnit & { readonly fault: UnitFault | undefined };

/** A remapping unit with somebody who counts what becomes of its requests, and costs a request nothing else. */
export class WatchedUnit implements RemappingUnit {
  /** Requests by {@link Outcome}. */
  readonly outcomes = new Int32Array(4);
  last: Outcome = Outcome.passed;
  readonly #unit: Unit;
  readonly #onBlocked: (fault: UnitFault) => void;

  constructor(unit: Unit, onBlocked: (fault: UnitFault) => void) {
    this.#unit = unit;
    this.#onBlocked = onBlocked;
  }

  interrupt(addressLow: number, data: number, requester: number): Outcome {
    return this.#count(this.#unit.interrupt(addressLow, data, requester));
  }

  malformed(addressLow: number, requester: number): Outcome {
    return this.#count(this.#unit.malformed(addressLow, requester));
  }

  #count(outcome: Outcome): Outcome {
    this.outcomes[outcome] = this.outcomes[outcome]! + 1;
    this.last = outcome;
    if (outcome === Outcome.blocked) this.#onBlocked(this.#unit.fault!);
    return outcome;
  }
}

/** How a fault is named in results: VT-d's reason as `26h`, AMD-Vi's event, or what is aborted without one. */
export function faultLabel(fault: UnitFault): string {
  if ("reason" in fault) return `${fault.reason.toString(16)}h`;
  return fault.event ?? "target abort";
}
