import { useEffect, useReducer, useRef } from "preact/hooks";
import type { MapChoice, ShownRow } from "../../engine/map/map-rows.ts";
import type { ChosenRows } from "../../engine/tasks/map-rows.ts";
import { hostEngine } from "../../state/host.ts";

/** Rows are asked for so many at once. */
const piece = 100;

/**
 * The rows that can be seen, which the engine is asked for when they come into sight.
 * @returns the row at an index; undefined until it is known.
 */
export function usePieces(
  { first, count }: ChosenRows,
  choice: MapChoice,
  reading: number,
  from: number,
  to: number,
): (index: number) => ShownRow | undefined {
  const [, draw] = useReducer((times: number) => times + 1, 0);
  const known = useRef<{ of: readonly ShownRow[]; pieces: Map<number, readonly ShownRow[]> }>(null);
  if (known.current?.of !== first) known.current = { of: first, pieces: new Map([[0, first]]) };
  const { pieces } = known.current;
  useEffect(() => {
    const load = async (at: number): Promise<void> => {
      pieces.set(at, []);
      try {
        pieces.set(at, await hostEngine.ask("mapRows", { choice, from: at * piece, to: (at + 1) * piece }));
        draw(0);
      } catch {
        // The engine was stopped: who opens a host next asks anew.
        pieces.delete(at);
      }
    };
    for (let at = Math.floor(from / piece); at <= Math.floor(to / piece) && at * piece < count; at++) {
      if (!pieces.has(at)) void load(at);
    }
  }, [first, reading, from, to]);
  return (index) => pieces.get(Math.floor(index / piece))?.[index % piece];
}
