import type { Layout } from "../../spec/layout.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { RegisterWrite } from "./live-unit.ts";
import { written } from "./structures.ts";

/** A register of a unit that is written, before and after it; what has no layout shows no bits. */
export function writtenRegister(
  name: string,
  unit: string,
  layout: Layout | undefined,
  before: bigint,
  after: bigint,
  rule: RuleId | null = null,
): RegisterWrite {
  return {
    name,
    rule,
    touched: layout === undefined ? [] : [written(`${name} of ${unit}`, layout, before, after)],
  };
}
