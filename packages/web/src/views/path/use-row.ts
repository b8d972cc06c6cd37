import { useEffect, useRef, useState } from "preact/hooks";
import { change, route } from "../../state/route.ts";

/** Between two changes of the address while one scrubs: browsers refuse more than some 20 a second. */
const pause = 150;

/** What an address keeps of where one is; all else in it says what is stepped through. */
const placeKeys: ReadonlySet<string> = new Set(["step", "speed", "at", "request"]);

/** What an address asks for, wherever one is in it. */
export function withoutPlace(query: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(query).filter(([key]) => !placeKeys.has(key)));
}

export interface RowChoice {
  readonly row: number;
  /** `replace`: as a slider does; `push`: back leads to where one was. */
  readonly goTo: (row: number, how: "push" | "replace") => void;
}

/**
 * The row that is looked at: `step=` in the address, from 1. While one scrubs the address follows behind.
 * @param count rows.
 * @param arrival the row to begin with where the address names none.
 */
export function useRow(count: number, arrival: number): RowChoice {
  const text = route.value.query["step"];
  const asked = text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) - 1 : arrival;
  /** Where one is already, while the address still says `since`. */
  const [ahead, setAhead] = useState<{ readonly row: number; readonly since: number } | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);

  const settle = (how: "push" | "replace"): void => {
    clearTimeout(timer.current);
    timer.current = undefined;
    change({ step: String(latest.current + 1), at: undefined }, how);
  };
  const goTo = (to: number, how: "push" | "replace"): void => {
    latest.current = Math.max(0, Math.min(to, count - 1));
    setAhead({ row: latest.current, since: asked });
    if (how === "push") settle("push");
    else timer.current ??= setTimeout(() => settle("replace"), pause);
  };
  const row = ahead?.since === asked ? ahead.row : asked;
  return { row: Math.max(0, Math.min(row, count - 1)), goTo };
}
