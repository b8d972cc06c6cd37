import { type MapColumnName, mapColumns } from "@intremap/core";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { MapChoice, ShownRow } from "../../engine/map/map-rows.ts";
import type { ChosenRows } from "../../engine/tasks/map-rows.ts";
import { change } from "../../state/route.ts";
import { usePieces } from "./use-pieces.ts";
import { rowHeight, useRows } from "./use-rows.ts";

interface MapTableProps {
  readonly choice: MapChoice;
  readonly reading: number;
  readonly rows: ChosenRows;
  /** The subject whose row was looked for. */
  readonly find: string | null;
  /** The subject that is followed. */
  readonly selected: string | undefined;
}

/** A table of any length: only the rows that can be seen are there. Arrow keys go from row to row, Enter follows. */
export function MapTable({ choice, reading, rows, find, selected }: MapTableProps) {
  const { columns, sort } = choice;
  const { count, widths } = rows;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useRows(count, scroller);
  const [active, setActive] = useState(0);
  const focus = useRef(false);
  const at = Math.min(active, count - 1);
  const items = virtual.getVirtualItems();
  const rowAt = usePieces(rows, choice, reading, items[0]?.index ?? 0, items.at(-1)?.index ?? 0);
  useEffect(() => {
    if (rows.found === null) return;
    setActive(rows.found);
    virtual.scrollToIndex(rows.found, { align: "auto" });
  }, [choice, find]);
  useLayoutEffect(() => {
    if (!focus.current) return;
    const button = scroller.current?.querySelector<HTMLButtonElement>(`[data-row="${at}"] button`);
    if (button === null || button === undefined) return;
    focus.current = false;
    button.focus({ preventScroll: true });
  });
  const moveTo = (row: number): void => {
    const next = Math.max(0, Math.min(count - 1, row));
    focus.current = true;
    setActive(next);
    virtual.scrollToIndex(next, { align: "auto" });
  };
  const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowHeight) - 2);
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  };
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <div
      class="rows"
      ref={scroller}
      onKeyDown={(event) => {
        const next = moves[event.key];
        if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
        if ((event.target as Element).closest("tbody") === null) return;
        event.preventDefault();
        moveTo(next);
      }}
    >
      <table
        aria-rowcount={count + 1}
        style={{ minWidth: `${widths.reduce((sum, one) => sum + one + 2, 0)}ch` }}
      >
        <caption class="visually-hidden">Interrupts of the host</caption>
        <colgroup>
          {widths.map((width, column) => (
            <col key={columns[column]} style={{ width: `${width + 2}ch` }} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((name) => (
              <Head key={name} name={name} sort={sort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 ? <Gap height={before} span={columns.length} /> : null}
          {items.map(({ index }) => (
            <Row
              key={index}
              index={index}
              row={rowAt(index)}
              columns={columns}
              active={index === at}
              selected={selected}
              choose={setActive}
            />
          ))}
          {after > 0 ? <Gap height={after} span={columns.length} /> : null}
        </tbody>
      </table>
    </div>
  );
}

/** In place of the rows that cannot be seen. */
function Gap({ height, span }: { readonly height: number; readonly span: number }) {
  return (
    <tr class="gap" aria-hidden="true">
      <td colSpan={span} style={{ height: `${height}px` }} />
    </tr>
  );
}

function Head({ name, sort }: { readonly name: MapColumnName; readonly sort: string | null }) {
  const { title, what } = mapColumns[name];
  const order = sort === name ? "ascending" : sort === `-${name}` ? "descending" : "none";
  const next = order === "none" ? name : order === "ascending" ? `-${name}` : undefined;
  return (
    <th scope="col" aria-sort={order}>
      <button type="button" title={what} onClick={() => change({ sort: next }, "push")}>
        {title}
        <span aria-hidden="true">{order === "none" ? "" : order === "ascending" ? " ▲" : " ▼"}</span>
      </button>
    </th>
  );
}

interface RowProps {
  readonly index: number;
  /** Undefined until the engine has told it. */
  readonly row: ShownRow | undefined;
  readonly columns: readonly MapColumnName[];
  readonly active: boolean;
  readonly selected: string | undefined;
  readonly choose: (index: number) => void;
}

function Row({ index, row, columns, active, selected, choose }: RowProps) {
  const subject = row?.subject ?? null;
  const follow = (): void => {
    choose(index);
    if (subject !== null) change({ at: subject, which: undefined, step: undefined }, "push");
  };
  const text = row?.cells[0] ?? "";
  return (
    <tr
      data-row={index}
      aria-rowindex={index + 2}
      class={subject !== null && subject === selected ? "selected" : undefined}
      onClick={follow}
    >
      <th scope="row" title={text}>
        <button
          type="button"
          tabIndex={active ? 0 : -1}
          aria-label={subject === null ? undefined : `${text || subject}: follow ${subject}`}
          aria-current={subject !== null && subject === selected ? "true" : undefined}
          onFocus={() => choose(index)}
        >
          {row === undefined ? "…" : text || "—"}
        </button>
      </th>
      {columns.slice(1).map((name, column) => {
        const cell = row?.cells[column + 1] ?? "";
        return (
          <td key={name} class={classOf(name, cell)} title={cell === "" ? undefined : cell}>
            {cell}
          </td>
        );
      })}
    </tr>
  );
}

const numeric: ReadonlySet<MapColumnName> = new Set(["input", "irq", "index", "vector", "total", "vcpu"]);

function classOf(name: MapColumnName, cell: string): string | undefined {
  if (name === "mode") return `mode ${cell}`;
  if (name === "state" && cell !== "") return "state";
  return numeric.has(name) ? "number" : undefined;
}
