import { keptMap } from "../map/kept-map.ts";
import { type MapChoice, type ShownRow, rowsOf } from "../map/map-rows.ts";
import { subjectOf } from "../graph/subject-of.ts";

/** What a choice comes to. */
export interface ChosenRows {
  /** Rows that the filter leaves. */
  readonly count: number;
  /** Rows without the filter. */
  readonly of: number;
  /** All that the map has. */
  readonly all: number;
  /** In characters, for each column. */
  readonly widths: readonly number[];
  readonly first: readonly ShownRow[];
  /** Where the row of a subject stands; null where it is not among them. */
  readonly found: number | null;
}

interface ChosenInput {
  readonly choice: MapChoice;
  /** The subject of a row that is to be found. */
  readonly find: string | null;
}

const firstPiece = 100;

/** Filters and sorts the map of the host that is open. */
export function chooseMapRows({ choice, find }: ChosenInput): ChosenRows {
  const rows = rowsOf(keptMap());
  const chosen = rows.choose(choice);
  const found = find === null ? -1 : chosen.findIndex((row) => subjectOf(row) === find);
  return {
    count: chosen.length,
    of: rows.kept(choice.all).length,
    all: rows.map.interrupts.length,
    widths: rows.widths(choice),
    first: rows.shown(choice, 0, firstPiece),
    found: found < 0 ? null : found,
  };
}

interface PieceInput {
  readonly choice: MapChoice;
  readonly from: number;
  readonly to: number;
}

/** Some rows of a choice. */
export function mapRows({ choice, from, to }: PieceInput): readonly ShownRow[] {
  return rowsOf(keptMap()).shown(choice, from, to);
}
