import { type MapColumnName, defaultMapColumns, mapColumns } from "@intremap/core";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { MapChoice } from "../../engine/map/map-rows.ts";
import type { ChosenRows } from "../../engine/tasks/map-rows.ts";
import { Notice } from "../../parts/notice.tsx";
import { hostEngine } from "../../state/host.ts";
import { change, route } from "../../state/route.ts";
import { MapTable } from "./map-table.tsx";
import { many } from "../../parts/words.ts";

const allColumns = Object.keys(mapColumns) as MapColumnName[];

function columnsIn(text: string | undefined): readonly MapColumnName[] {
  const named = (text ?? "").split(",").filter((name) => Object.hasOwn(mapColumns, name)) as MapColumnName[];
  return named.length === 0 ? defaultMapColumns : [...new Set(named)];
}

function sortIn(text: string | undefined): string | null {
  return text !== undefined && Object.hasOwn(mapColumns, text.replace(/^-/, "")) ? text : null;
}

interface MapViewProps {
  /** Which reading of the source. */
  readonly reading: number;
  readonly selected: string | undefined;
}

interface Shown {
  readonly choice: MapChoice;
  readonly reading: number;
  readonly find: string | null;
  readonly rows: ChosenRows;
}

/** Every interrupt of the host: a table with the columns of `map -o`, sorted and filtered. */
export function MapView({ reading, selected }: MapViewProps) {
  const { query } = route.value;
  const columns = columnsIn(query["columns"]);
  const sort = sortIn(query["sort"]);
  const filter = query["filter"] ?? "";
  const all = query["all"] === "1";
  const choice = useMemo<MapChoice>(
    () => ({ columns, sort, filter, all }),
    [columns.join(), sort, filter, all],
  );
  const { shown, failed } = useChosen(choice, reading, selected ?? null);
  return (
    <section class="map" aria-label="Interrupts">
      <div class="tools">
        <label class="find">
          <span class="visually-hidden">Filter</span>
          <input
            type="search"
            placeholder='Filter: nvme, mode:posted, to:"cpu 3"'
            value={filter}
            onInput={({ currentTarget: { value } }) => change({ filter: value || undefined }, "replace")}
          />
        </label>
        <output class="faint">
          {shown === null
            ? ""
            : shown.rows.count === shown.rows.of
              ? many(shown.rows.count, "interrupt")
              : `${shown.rows.count.toLocaleString("en")} of ${many(shown.rows.of, "interrupt")}`}
        </output>
        <label>
          <input
            type="checkbox"
            checked={all}
            onChange={({ currentTarget: { checked } }) => change({ all: checked ? "1" : undefined }, "push")}
          />{" "}
          unused ones too
        </label>
        <ColumnChoice columns={columns} />
      </div>
      {failed === null ? null : (
        <Notice kind="error" title="The table cannot be shown">
          {failed}
        </Notice>
      )}
      {shown === null ? null : shown.rows.count === 0 ? (
        <p class="nothing">{nothing(shown)}</p>
      ) : (
        <MapTable {...shown} selected={selected} />
      )}
    </section>
  );
}

/** Why there is no row. */
function nothing({ choice: { filter }, rows }: Shown): string {
  if (rows.all === 0) return "No interrupt is known.";
  if (rows.of === 0) return "Nobody uses any of the interrupts: tick “unused ones too”.";
  const blank = /\w:[^\s"]+\s/.test(filter);
  return `Nothing is left by this filter.${blank ? ' A value with a blank wants quotes: to:"cpu 3".' : ""}`;
}

/** What the engine makes of a choice; until it has, what was shown before. */
function useChosen(
  choice: MapChoice,
  reading: number,
  find: string | null,
): { readonly shown: Shown | null; readonly failed: string | null } {
  const [shown, setShown] = useState<Shown | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const latest = useRef(0);
  useEffect(() => {
    const turn = ++latest.current;
    const choose = async (): Promise<void> => {
      try {
        const rows = await hostEngine.ask("chooseMapRows", { choice, find });
        if (turn !== latest.current) return;
        setFailed(null);
        setShown({ choice, reading, find, rows });
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (turn === latest.current && message !== "stopped") setFailed(message);
      }
    };
    void choose();
    return () => {
      latest.current++;
    };
  }, [choice, reading, find]);
  return { shown, failed };
}

function ColumnChoice({ columns }: { readonly columns: readonly MapColumnName[] }) {
  const choose = (name: MapColumnName, on: boolean): void => {
    const next = allColumns.filter((one) => (one === name ? on : columns.includes(one)));
    if (next.length === 0) return;
    const usual =
      next.length === defaultMapColumns.length && next.every((one) => defaultMapColumns.includes(one));
    change({ columns: usual ? undefined : next.join() }, "push");
  };
  return (
    <details class="columns">
      <summary>Columns</summary>
      <fieldset>
        <legend class="visually-hidden">Columns</legend>
        {allColumns.map((name) => (
          <label key={name}>
            <input
              type="checkbox"
              checked={columns.includes(name)}
              onChange={({ currentTarget: { checked } }) => choose(name, checked)}
            />{" "}
            <strong>{mapColumns[name].title}</strong> <span class="faint">{mapColumns[name].what}</span>
          </label>
        ))}
      </fieldset>
    </details>
  );
}
