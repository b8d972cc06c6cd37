import { Outcome } from "../hardware/delivery.ts";
import type { MessageComposer } from "./message-composer.ts";
import type { Path, PathDelivery, PathMessage } from "./path.ts";

export const outcomeNames: Readonly<Record<Outcome, Path["outcome"]>> = {
  [Outcome.passed]: "passed",
  [Outcome.remapped]: "remapped",
  [Outcome.posted]: "posted",
  [Outcome.blocked]: "blocked",
};

/** A message of int32 halves. */
export function pathMessage(addressLow: number, addressHigh: number, data: number): PathMessage {
  return { address: (BigInt(addressHigh >>> 0) << 32n) | BigInt(addressLow >>> 0), data: data >>> 0 };
}

/** What local APICs read out of the message that a unit sent. */
export function pathDelivery(composer: MessageComposer): PathDelivery {
  return {
    destination: composer.destination >>> 0,
    logical: composer.logical === 1,
    deliveryMode: composer.deliveryMode,
    vector: composer.vector,
    level: composer.level === 1,
  };
}
