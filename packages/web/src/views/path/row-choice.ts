import { change, route } from "../../state/route.ts";

/** What an address keeps of where one is; all else in it says what is stepped through. */
const placeKeys: ReadonlySet<string> = new Set(["step", "speed", "at", "request"]);

/** What an address asks for, wherever one is in it. */
export function withoutPlace(query: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([key]) => !placeKeys.has(key)));
}

export interface RowChoice {
  readonly row: number;
  /** What the address asks for where that is no step: one is at another. */
  readonly missed: string | null;
  /** `replace`: as a slider does; `push`: back leads to where one was. */
  readonly goTo: (row: number, how: "push" | "replace") => void;
}

/**
 * The row that is looked at: `step=` in the address, from 1.
 * @param count rows.
 * @param arrival the row to begin with where the address names none.
 */
export function rowChoice(count: number, arrival: number): RowChoice {
  const text = route.value.query["step"];
  const sound = text !== undefined && /^\d{1,9}$/.test(text);
  const asked = sound ? Number(text) - 1 : arrival;
  const within = (row: number): number => Math.max(0, Math.min(row, count - 1));
  const there = text === undefined || (sound && asked === within(asked));
  return {
    row: within(asked),
    missed: there ? null : `There is no step ${text.slice(0, 20)}`,
    goTo: (to, how) => change({ step: String(within(to) + 1), at: undefined }, how),
  };
}
