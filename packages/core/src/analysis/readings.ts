import { type Violation, validate } from "../spec/codec.ts";
import type { Context, Layout } from "../spec/layout.ts";
import type { RuleId } from "../spec/rules.ts";

interface Alternative {
  /** The setting that rules this reading out, as it stands in `when`. */
  readonly setting: string;
  readonly layout: Layout;
  /** The rules whose bits mean something else in this reading. */
  readonly lifts: readonly RuleId[];
}

/**
 * Holds a value against its plain layout. What another reading of the same bits allows depends on whether that reading
 * is in use: it is reported with the setting that rules it out.
 */
export function unlessReadAs(
  { layout, value }: { readonly layout: Layout; readonly value: bigint },
  alternatives: readonly Alternative[],
  context: Context,
): Violation[] {
  return validate(layout, value, context).map((violation) => {
    const allowed = alternatives.filter(
      ({ layout, lifts }) =>
        lifts.includes(violation.rule) &&
        !validate(layout, value, context).some(({ rule }) => rule === violation.rule),
    );
    const when = [violation.when, ...allowed.map(({ setting }) => setting)].filter(
      (text) => text !== undefined,
    );
    return when.length === 0 ? violation : Object.assign(violation, { when: when.join(", ") });
  });
}
