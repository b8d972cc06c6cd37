import type { Json, JsonObject } from "../../spec/shape.ts";
import type { CaseRecord } from "./recording.ts";

/** Tells of each of some cases whether it still shows what is to be shown; false of one that is no case any more. */
export type Still = (records: readonly CaseRecord[]) => Promise<readonly boolean[]>;

/** How many are tried at once. */
const handful = 24;

/** Address bits that a request may lose: those that are no part of the interrupt range. */
const addressBits = 0xf_fffc;

/**
 * Looks for the smallest case that still shows something: steps, entries and fields are taken away one after another
 * until none can be spared.
 * @param tries how many cases may be tried at most.
 */
export async function shrinkCase(record: CaseRecord, still: Still, tries = 600): Promise<CaseRecord> {
  let current = record;
  let left = tries;
  search: for (;;) {
    const smaller = smallerCases(current);
    for (let at = 0; at < smaller.length && left > 0; at += handful) {
      const some = smaller.slice(at, at + Math.min(handful, left));
      left -= some.length;
      const shows = (await still(some)).indexOf(true);
      if (shows < 0) continue;
      current = some[shows]!;
      continue search;
    }
    return current;
  }
}

/** Every case that lacks one thing of this one, the largest things first. */
function smallerCases(record: CaseRecord): CaseRecord[] {
  const setup = (record["setup"] ?? {}) as JsonObject;
  const steps = record["steps"] as readonly JsonObject[];
  const found: CaseRecord[] = [];
  const half = steps.length >> 1;
  if (half > 1) {
    found.push({ ...record, steps: steps.slice(0, half) }, { ...record, steps: steps.slice(half) });
  }
  if (steps.length > 1) {
    for (let i = 0; i < steps.length; i++) found.push({ ...record, steps: steps.toSpliced(i, 1) });
  }
  for (const one of lessOf(setup)) found.push({ ...record, setup: one });
  for (const [i, step] of steps.entries()) {
    for (const one of lessOfStep(step)) found.push({ ...record, steps: steps.with(i, one) });
  }
  return found;
}

function* lessOfStep(step: JsonObject): Generator<JsonObject> {
  const { repeat } = step;
  if (typeof repeat === "number" && repeat > 1) {
    yield { ...step, repeat: Math.ceil(repeat / 2) };
    yield { ...step, repeat: repeat - 1 };
  }
  for (const one of lessOf(step)) yield one as JsonObject;
  const request = step["msi"] as JsonObject | undefined;
  if (request === undefined) return;
  for (const data of fewerBits(request["data"], 0xffff_ffff)) yield { ...step, msi: { ...request, data } };
  for (const address of fewerBits(request["address"], addressBits)) {
    yield { ...step, msi: { ...request, address } };
  }
}

/** The value without one key or element, here or further down. */
function* lessOf(value: Json): Generator<Json> {
  if (Array.isArray(value)) {
    if (value.length > 1) for (let i = 0; i < value.length; i++) yield value.toSpliced(i, 1);
    for (let i = 0; i < value.length; i++) for (const one of lessOf(value[i])) yield value.with(i, one);
  } else if (typeof value === "object" && value !== null) {
    const keys = Object.keys(value);
    for (const key of keys) {
      const { [key]: _, ...rest } = value as JsonObject;
      yield rest;
    }
    for (const key of keys) {
      for (const one of lessOf((value as JsonObject)[key]!)) yield { ...(value as JsonObject), [key]: one };
    }
  }
}

/** A number with fewer of some bits set. */
function* fewerBits(value: Json | undefined, bits: number): Generator<Json> {
  if (typeof value !== "string") return;
  const number = Number(value);
  const loose = (number & bits) >>> 0;
  const kept = number - loose;
  const write = (rest: number): Json => (kept + rest < 10 ? kept + rest : `0x${(kept + rest).toString(16)}`);
  if (loose === 0) return;
  yield write(0);
  for (let bit = 31; bit >= 0; bit--) {
    const mask = (1 << bit) >>> 0;
    if ((loose & mask) !== 0 && loose !== mask) yield write(loose - mask);
  }
}
