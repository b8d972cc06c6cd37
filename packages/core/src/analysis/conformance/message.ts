import type { Delivery, Message, RecordingFabric } from "../../hardware/recording-fabric.ts";
import { DeliveryMode, Outcome } from "../../hardware/delivery.ts";
import {
  ShapeError,
  type Json,
  type JsonObject,
  type Shape,
  bit,
  hex,
  hexOf,
  keyOf,
  list,
  oneOf,
  record,
  small,
} from "../../spec/shape.ts";
import { type Happenings, holds } from "./subject.ts";

export const deliveryNames = {
  fixed: DeliveryMode.fixed,
  lowest: DeliveryMode.lowestPriority,
  smi: DeliveryMode.smi,
  reserved3: 3,
  nmi: DeliveryMode.nmi,
  init: DeliveryMode.init,
  startup: DeliveryMode.startup,
  extint: DeliveryMode.extInt,
} as const;

export type DeliveryName = keyof typeof deliveryNames;

const names = Object.keys(deliveryNames) as DeliveryName[];

export const deliveryMode = keyOf(deliveryNames);

const outcomeNames = ["passed", "remapped", "posted", "blocked"] as const satisfies Record<Outcome, string>;

export function outcomeOf(outcome: Outcome): string {
  return outcomeNames[outcome];
}

export const outcome = oneOf(...outcomeNames);

const interrupt = record(
  { destination: hex(32), vector: hex(8) },
  {
    mode: oneOf("physical", "logical"),
    hint: bit,
    delivery: deliveryMode,
    trigger: oneOf("edge", "level"),
  },
);

/** An interrupt with its attributes: physical, without a hint, fixed and edge-triggered unless said otherwise. */
export const delivered: Shape<JsonObject> = (value, place) => ({
  mode: "physical",
  hint: 0,
  delivery: "fixed",
  trigger: "edge",
  ...interrupt(value, place),
});

export function deliveredOf(one: Delivery): JsonObject {
  return {
    destination: hexOf(one.destination),
    vector: hexOf(one.vector),
    mode: one.logical === 0 ? "physical" : "logical",
    hint: one.redirectionHint,
    delivery: names.find((name) => deliveryNames[name] === one.deliveryMode)!,
    trigger: one.level === 0 ? "edge" : "level",
  };
}

/** Messages as they stand on the bus. */
export const messages: Shape<Json> = list(record({ address: hex(64), data: hex(32) }, {}));

export function messageOf({ address, data }: Message): JsonObject {
  return { address: hexOf(address), data: hexOf(data) };
}

/**
 * Takes what has reached a fabric.
 * @param passed a request that should have reached it unchanged, and is then not told again.
 */
export function collect(fabric: RecordingFabric, passed?: Message): Happenings {
  const deliveries = fabric.deliveries.splice(0).map(deliveredOf);
  const sent = fabric.messages.splice(0).map(messageOf);
  const unchanged = passed !== undefined && holds(messageOf(passed), sent[0]);
  if (unchanged) sent.shift();
  return {
    ...(deliveries.length === 0 ? {} : { delivered: deliveries.length === 1 ? deliveries[0]! : deliveries }),
    ...(sent.length === 0 && (passed === undefined || unchanged) ? {} : { messages: sent }),
  };
}

/** Vectors, in ascending order. */
export const vectors: Shape<Json> = (value, place) => {
  const read = list(hex(8))(value, place);
  const ascending = read.every((one, i) => i === 0 || Number(read[i - 1]) < Number(one));
  if (!ascending) throw new ShapeError(place, "expected vectors in ascending order");
  return read;
};

/** The same as a set of bits. */
export function vectorSet(value: unknown, place: string): bigint {
  return list(small(8))(value, place).reduce((set, vector) => set | (1n << BigInt(vector)), 0n);
}

/** The vectors whose bits are set in words of 32, the lowest first. */
export function vectorsIn(words: Iterable<number>): string[] {
  const found: string[] = [];
  let first = 0;
  for (const word of words) {
    for (let i = 0; i < 32; i++) if ((word >>> i) & 1) found.push(hexOf(first + i));
    first += 32;
  }
  return found;
}
