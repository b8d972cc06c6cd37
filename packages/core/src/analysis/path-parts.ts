import { hex } from "../spec/codec.ts";
import { Outcome } from "../hardware/delivery.ts";
import type { MessageComposer } from "./message-composer.ts";
import type { Path, PathDelivery, PathMessage } from "./path.ts";
import { vectorOf } from "./walkthrough/told.ts";

export const outcomeNames: Readonly<Record<Outcome, Path["outcome"]>> = {
  [Outcome.passed]: "passed",
  [Outcome.remapped]: "remapped",
  [Outcome.posted]: "posted",
  [Outcome.blocked]: "blocked",
};

/** What a request is told to have come to: what left without an entry has passed (qemu.amdvi.pass-zeroed). */
export function toldOutcome(outcome: Outcome, entryRead: boolean): Path["outcome"] {
  return outcomeNames[outcome === Outcome.remapped && !entryRead ? Outcome.passed : outcome];
}

/** A message of int32 halves. */
export function pathMessage(addressLow: number, addressHigh: number, data: number): PathMessage {
  return { address: (BigInt(addressHigh >>> 0) << 32n) | BigInt(addressLow >>> 0), data: data >>> 0 };
}

/** What a unit sent on, if it sent something on; and what came of the request, as its last step says it. */
export function sentBy(
  outcome: Outcome,
  composer: MessageComposer,
): { readonly message: PathMessage | null; readonly delivery: PathDelivery | null; readonly result: string } {
  if (outcome !== Outcome.passed && outcome !== Outcome.remapped) {
    return { message: null, delivery: null, result: outcomeNames[outcome] };
  }
  const delivery = pathDelivery(composer);
  return {
    message: pathMessage(composer.addressLow, composer.addressHigh, composer.data),
    delivery,
    result: `${vectorOf(delivery.vector)}, ${delivery.logical ? "logical " : ""}destination ${hex(delivery.destination)}`,
  };
}

/** What local APICs read out of the message that a unit sent. */
function pathDelivery(composer: MessageComposer): PathDelivery {
  return {
    destination: composer.destination >>> 0,
    logical: composer.logical === 1,
    deliveryMode: composer.deliveryMode,
    vector: composer.vector,
    level: composer.level === 1,
  };
}
