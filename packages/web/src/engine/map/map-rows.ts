import {
  type HostMap,
  type MapColumnName,
  type MapRow,
  mapColumns,
  nameStyleOf,
  sortMapRows,
} from "@intremap/core";
import { subjectOf } from "../graph/subject-of.ts";
import { RowCells, filterRows } from "./row-filter.ts";

/** Which rows of the map are shown, and how. */
export interface MapChoice {
  readonly columns: readonly MapColumnName[];
  /** As `--sort` takes it; null for the map's own order. */
  readonly sort: string | null;
  readonly filter: string;
  /** Also interrupts that nobody uses. */
  readonly all: boolean;
}

/** A row, ready to be shown. */
export interface ShownRow {
  readonly cells: readonly string[];
  /** What `follow` takes for it. */
  readonly subject: string | null;
}

/** In characters: wider cells are cut, and whole in their tooltip. */
const widest = 34;

/** The rows of a choice. The last one is kept, as it is asked for piece by piece. */
export class MapRows {
  readonly map: HostMap;
  readonly #cells: RowCells;
  #key = "";
  #rows: readonly MapRow[] = [];

  constructor(map: HostMap) {
    this.map = map;
    this.#cells = new RowCells(nameStyleOf(map.interrupts));
  }

  choose({ columns, sort, filter, all }: MapChoice): readonly MapRow[] {
    const key = JSON.stringify([columns, sort, filter, all]);
    if (key === this.#key) return this.#rows;
    const found = filterRows(this.kept(all), filter, columns, this.#cells);
    this.#rows = sort === null ? found : sortMapRows(found, sort, this.#cells.style);
    this.#key = key;
    return this.#rows;
  }

  kept(all: boolean): readonly MapRow[] {
    const { interrupts } = this.map;
    return all ? interrupts : interrupts.filter(({ state }) => state !== "unused");
  }

  shown(choice: MapChoice, from: number, to: number): ShownRow[] {
    return this.choose(choice)
      .slice(from, to)
      .map((row) => ({
        cells: choice.columns.map((column) => this.#cells.cell(row, column)),
        subject: subjectOf(row),
      }));
  }

  /** In characters, for each column. */
  widths(choice: MapChoice): number[] {
    const rows = this.choose(choice);
    return choice.columns.map((column) => {
      let width = mapColumns[column].title.length + 2;
      for (const row of rows) {
        width = Math.max(width, this.#cells.cell(row, column).length);
        if (width >= widest) return widest;
      }
      return width;
    });
  }
}

const kept = new WeakMap<HostMap, MapRows>();

export function rowsOf(map: HostMap): MapRows {
  let rows = kept.get(map);
  if (rows === undefined) kept.set(map, (rows = new MapRows(map)));
  return rows;
}
