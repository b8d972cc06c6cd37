import { type Json, hexOf } from "../../spec/shape.ts";
import type { Random } from "./random.ts";

/** A case's machine and what is done to it, as the corpus writes them. */
export interface Draft {
  readonly setup: { [key: string]: Json };
  readonly steps: { [key: string]: Json }[];
}

/** A number as the corpus writes it. */
export function written(value: number | bigint): Json {
  return value < 10 ? Number(value) : hexOf(value);
}

/** Fields as the corpus writes them: those that are zero are left out. */
export function fields(values: Readonly<Record<string, number | bigint>>): { [key: string]: Json } {
  const found: { [key: string]: Json } = {};
  for (const name in values) {
    const value = values[name]!;
    if (value) found[name] = value < 10 ? Number(value) : hexOf(value);
  }
  return found;
}

/** A bit of some ranges, as a whole value. */
export function someBit(random: Random, ranges: readonly (readonly [high: number, low: number])[]): bigint {
  const [high, low] = random.pick(ranges);
  return 1n << BigInt(low + random.below(high - low + 1));
}

/** A vector: nearly always a lawful one. */
export function someVector(random: Random): number {
  return random.percent(4) ? random.below(16) : 16 + random.below(240);
}

/** An xAPIC id: of one of the first processors, mostly. */
export function someDestination(random: Random): number {
  if (random.percent(85)) return random.below(4);
  return random.percent(50) ? 0xff : random.below(256);
}

/** The device of a case, and now and then another. */
export function someRequester(random: Random, requesters: readonly number[], usual: number): number | null {
  if (random.percent(1)) return null;
  return random.percent(85) ? usual : random.pick(requesters);
}
