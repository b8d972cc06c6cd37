import { useEffect, useReducer, useRef } from "preact/hooks";
import type { MapChoice, ShownRow } from "../../engine/map/map-rows.ts";
import type { ChosenRows } from "../../engine/tasks/map-rows.ts";
import { hostEngine } from "../../state/host.ts";

/** Rows are asked for so many at once. */
const piece = 100;

interface Known {
  readonly choice: MapChoice;
  readonly reading: number;
  /** Pieces that the engine was asked for. */
  readonly asked: Set<number>;
  readonly pieces: Map<number, readonly ShownRow[]>;
}

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
  const known = useRef<Known>(null);
  if (known.current?.choice !== choice || known.current.reading !== reading) {
    // What is read anew is shown as it was until it is there.
    const before = known.current?.choice === choice ? known.current.pieces : [];
    known.current = { choice, reading, asked: new Set([0]), pieces: new Map([...before, [0, first]]) };
  }
  const { asked, pieces } = known.current;
  useEffect(() => {
    const load = async (at: number): Promise<void> => {
      asked.add(at);
      try {
        pieces.set(at, await hostEngine.ask("mapRows", { choice, from: at * piece, to: (at + 1) * piece }));
        draw(0);
      } catch {
        // The engine was stopped: who opens a host next asks anew.
        asked.delete(at);
      }
    };
    for (let at = Math.floor(from / piece); at <= Math.floor(to / piece) && at * piece < count; at++) {
      if (!asked.has(at)) void load(at);
    }
  }, [choice, reading, from, to]);
  return (index) => pieces.get(Math.floor(index / piece))?.[index % piece];
}
