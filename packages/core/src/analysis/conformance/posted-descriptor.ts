import { toWords } from "../../spec/codec.ts";
import { postedDescriptor } from "../../spec/vtd/irte.ts";
import { asExpected, layoutValue } from "./fields.ts";
import { vectorSet, vectors, vectorsIn } from "./message.ts";
import { type JsonObject, type Shape, bit, entries, hex, record } from "../../spec/shape.ts";

/** A descriptor's fields, with PIR as a list of vectors. */
export const descriptor: Shape<bigint> = (value, place) => {
  const { pir, ...rest } = entries(value, place);
  const requests = pir === undefined ? 0n : vectorSet(pir, `${place}.pir`);
  return layoutValue(postedDescriptor)(rest, place) | requests;
};

/** What is expected of a descriptor: some of its fields. */
export const descriptorState = record({}, { pir: vectors, on: bit, sn: bit, nv: hex(8), ndst: hex(32) });

export function descriptorOf(value: bigint): JsonObject {
  const { on, sn, nv, ndst } = asExpected(postedDescriptor, value, {}) as Record<string, string>;
  const pir = vectorsIn(toWords(value, postedDescriptor.width).subarray(0, 8));
  return { pir, on: Number(on), sn: Number(sn), nv: nv!, ndst: ndst! };
}
