import { type MapColumnName, type MapRow, type NameStyle, mapColumns } from "@intremap/core";

/** A row as the table shows it: its cells by column. */
export class RowCells {
  readonly style: NameStyle;
  readonly #known = new WeakMap<MapRow, Map<MapColumnName, string>>();

  constructor(style: NameStyle) {
    this.style = style;
  }

  cell(row: MapRow, column: MapColumnName): string {
    let cells = this.#known.get(row);
    if (cells === undefined) this.#known.set(row, (cells = new Map()));
    let cell = cells.get(column);
    if (cell === undefined) cells.set(column, (cell = mapColumns[column].cell(row, this.style)));
    return cell;
  }
}

interface Term {
  /** Null: any of the columns that are shown. */
  readonly column: MapColumnName | null;
  /** In lower case. */
  readonly value: string;
  /** As cells have it that leave out segment 0. */
  readonly short: string;
}

const termPattern = /(?:([a-z#]+):)?(?:"([^"]*)"|(\S+))/gi;

function columnCalled(name: string): MapColumnName | null {
  if (Object.hasOwn(mapColumns, name)) return name as MapColumnName;
  const names = Object.keys(mapColumns) as MapColumnName[];
  return names.find((one) => mapColumns[one].title === name) ?? null;
}

/** `nvme`, `mode:posted`, `to:"cpu 3"`: what stands before a colon names a column, if there is one of that name. */
function termsOf(text: string, { segments }: NameStyle): Term[] {
  return [...text.matchAll(termPattern)].map(([whole, name, quoted, plain]) => {
    const column = name === undefined ? null : columnCalled(name.toLowerCase());
    const found = name !== undefined && column === null ? whole : (quoted ?? plain ?? "");
    const value = found.toLowerCase();
    return { column, value, short: segments ? value : value.replace(/^0000:(?=..:)/, "") };
  });
}

/**
 * The rows in which every term of a filter is found: `column:value` is the whole cell, any other term a part of a cell
 * that is shown.
 */
export function filterRows(
  rows: readonly MapRow[],
  text: string,
  shown: readonly MapColumnName[],
  cells: RowCells,
): readonly MapRow[] {
  const terms = termsOf(text, cells.style);
  if (terms.length === 0) return rows;
  return rows.filter((row) =>
    terms.every(({ column, value, short }) =>
      column === null
        ? shown.some((name) => cells.cell(row, name).toLowerCase().includes(short))
        : [value, short].includes(cells.cell(row, column).toLowerCase()),
    ),
  );
}
