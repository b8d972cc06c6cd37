import type { WalkChoice } from "../engine/walk-runs.ts";

/** How an address asks for a run: Path and Timeline have the same names for what it is made of. */
export function queryOfRun({ scenario, variant, values = {} }: WalkChoice): Record<string, string> {
  const set = Object.entries(values).map(([name, value]) => [name, `${value}`] as const);
  return { scenario, ...(variant !== undefined && { variant }), ...Object.fromEntries(set) };
}
