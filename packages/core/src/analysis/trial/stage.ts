import { InputError } from "../../evidence/input-error.ts";
import type { Outcome } from "../../hardware/delivery.ts";
import type { Memory } from "../../hardware/memory.ts";
import { hex } from "../../spec/codec.ts";
import type { Ending } from "../decision.ts";
import type { DecisionWatch } from "../follow/host-decision.ts";
import type { MessageComposer } from "../message-composer.ts";
import type { UnitDecision } from "../path.ts";
import type { LiveUnit, Request, SeenEntry } from "../walkthrough/live-unit.ts";
import type { Told } from "../walkthrough/told.ts";
import type { TrialPosting, TrialResult } from "./trial.ts";

/** A unit that is ready for a request. */
export interface Stage {
  readonly live: LiveUnit;
  readonly profile: string;
  /** Of the request, unless it tells. */
  readonly requester: number;
  interrupt(address: number, data: number, requester: number): Outcome;
  fault(): TrialResult["fault"];
  parts(
    request: Request,
    entry: SeenEntry | undefined,
    ending: Ending,
    result: string,
  ): Pick<UnitDecision, "decoded" | "index" | "entry" | "steps">;
  /** What was posted: given what the unit told of it. */
  posting(posted: NonNullable<DecisionWatch["posted"]>): { posting: TrialPosting; told: Told[] };
}

/** What a unit that is being set up is given. */
export interface StageParts {
  readonly memory: Memory;
  readonly fabric: MessageComposer;
  readonly observer: DecisionWatch;
}

/** @throws InputError when a number is not a whole one, or does not fit. */
export function checkNumber(name: string, value: number, width: number): void {
  if (!Number.isInteger(value) || value < 0) {
    throw new InputError(`${name} ${value}: expected a whole number of ${width} bits`);
  }
  check(name, BigInt(value), width);
}

/** @throws InputError when a value does not fit. */
export function check(name: string, value: bigint, width: number): void {
  if (value < 0n || value >> BigInt(width) !== 0n) {
    throw new InputError(`${name} ${hex(value)}: wider than ${width} bits`);
  }
}
