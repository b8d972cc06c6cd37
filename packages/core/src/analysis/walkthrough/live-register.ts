import type { Layout } from "../../spec/layout.ts";
import type { Touched } from "./step.ts";
import { written } from "./structures.ts";

/** A register of a unit as it is written; what has no layout shows no bits. */
export function writtenRegister(
  name: string,
  unit: string,
  layout: Layout | undefined,
  before: bigint,
  value: bigint,
): { readonly name: string; readonly touched: Touched[] } {
  return {
    name,
    touched: layout === undefined ? [] : [written(`${name} of ${unit}`, layout, before, value)],
  };
}
