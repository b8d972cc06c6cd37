import type { TimelineData } from "@intremap/core";
import { hrefOf } from "../../state/route.ts";
import type { Axis } from "./axis.ts";
import { type Flow, callsAt, enclosing, nameOf, valuesOf } from "./queries.ts";
import { countText, timeText } from "./time-text.ts";

interface DetailsProps {
  readonly data: TimelineData;
  readonly axis: Axis;
  readonly row: number;
  readonly flows: readonly Flow[];
  /** Lines of a trace count up where it has no times. */
  readonly lines: boolean;
  /** Where Path shows what is selected; null where it cannot. */
  readonly path: { readonly query: Readonly<Record<string, string>>; readonly label: string } | null;
  readonly onSelect: (row: number) => void;
}

/** What is selected: its values, the calls in which it happened, and the flows that pass it. */
export function Details(props: DetailsProps) {
  const { data, row, flows, path, lines, onSelect } = props;
  const { start, end, first, last, track, tracks, events } = data;
  const trackName = tracks[track[row]!]!.name;
  const slice = first[row] !== last[row];
  const values = valuesOf(data, row);
  const inThread = tracks[track[row]!]!.thread;
  const outer = inThread ? [] : enclosing(data, row);
  const calls = callsAt(data, row);
  const at = (nanoseconds: number): string =>
    lines ? `line ${countText(nanoseconds)}` : timeText(nanoseconds, 0.1);
  const length = (nanoseconds: number): string =>
    lines ? `${countText(nanoseconds)} ${nanoseconds === 1 ? "line" : "lines"}` : timeText(nanoseconds, 0.1);
  return (
    <section class="timeline-details" aria-label="Selection">
      <h2>{nameOf(data, row)}</h2>
      <dl>
        <dt>on</dt>
        <dd>{trackName}</dd>
        <dt>at</dt>
        <dd class="mono">{at(start[row]!)}</dd>
        {slice ? (
          <>
            <dt>took</dt>
            <dd class="mono">
              {length(end[row]! - start[row]!)}
              {last[row] === events ? ", not ended" : ""}
            </dd>
          </>
        ) : null}
        {values.map(({ name, text }) => (
          <>
            <dt>{name}</dt>
            <dd class="mono">{text}</dd>
          </>
        ))}
      </dl>
      {path === null ? null : (
        <p>
          <a href={hrefOf("path", path.query)}>{path.label}</a>
        </p>
      )}
      {outer.length === 0 ? null : <Rows title="In" rows={outer} {...{ data, row, onSelect }} />}
      {calls.length === 0 ? null : (
        <Rows
          title={`Calls of ${tracks[track[calls[0]!]!]!.name}, innermost first`}
          rows={calls}
          {...{ data, row, onSelect }}
        />
      )}
      {flows.map(({ id, rows, ended }) => (
        <div key={id}>
          <h3>
            Interrupt {countText(id)}
            {ended ? "" : openEnd(data, rows.at(-1)!)}
          </h3>
          <ol class="timeline-flow">
            {rows.map((one) => (
              <li key={one} aria-current={one === row ? "true" : undefined}>
                <button type="button" disabled={one === row} onClick={() => onSelect(one)}>
                  {nameOf(data, one)}
                </button>
                <span class="faint">
                  {tracks[track[one]!]!.name}
                  {lines
                    ? ` · line ${countText(start[one]!)}`
                    : ` · +${timeText(start[one]! - start[rows[0]!]!, 0.1)}`}
                </span>
              </li>
            ))}
          </ol>
        </div>
      ))}
    </section>
  );
}

/** What is known of an interrupt that leads to nobody: somebody may take it together with others. */
function openEnd(data: TimelineData, last: number): string {
  const notified = valuesOf(data, last).find(({ name }) => name === "notified");
  return notified?.text === "0" ? ", posted without a notification of its own" : ", its end is not shown";
}

interface RowsProps {
  readonly title: string;
  readonly data: TimelineData;
  readonly row: number;
  readonly rows: readonly number[];
  readonly onSelect: (row: number) => void;
}

/** Slices that stand in one another, innermost first. */
function Rows({ title, data, row, rows, onSelect }: RowsProps) {
  return (
    <div>
      <h3>{title}</h3>
      <ol class="timeline-calls">
        {rows.map((one) => (
          <li key={one}>
            <button type="button" disabled={one === row} onClick={() => onSelect(one)}>
              {nameOf(data, one)}
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}
