import { type Layout, type Naming, decode, fieldsOf, hex } from "@intremap/core";
import { useId, useMemo, useRef, useState } from "preact/hooks";
import { type Line, type Run, lineBits, linesOf, linesWith, tellingLines } from "./bit-lines.ts";

export interface BitRowProps {
  readonly layout: Layout;
  readonly value: bigint;
  /** Bits that differ from it are marked as changed. */
  readonly before?: bigint | null;
  /** Fields that stand out. */
  readonly marked?: readonly string[];
  /** `marked`: only lines that hold a marked field; `telling`: without lines of zeros inside a wide field. */
  readonly lines?: "all" | "marked" | "telling";
  readonly naming?: Naming;
  /** What is shown, for those who do not see it; the layout's title otherwise. */
  readonly label?: string;
  /** Takes the value after a bit was toggled; without it the bits are only shown. */
  readonly onChange?: (value: bigint) => void;
  /** Takes the field on whose bits one is; null: on none's. */
  readonly onSelect?: (field: string | null) => void;
}

function bitOf(value: bigint, at: number): 0 | 1 {
  return (value >> BigInt(at)) & 1n ? 1 : 0;
}

/** What the bits say, in words. */
function spoken(layout: Layout, value: bigint, names: readonly string[]): string {
  const values = decode(layout, value) as Readonly<Record<string, number | bigint>>;
  const wanted = names.length > 0 ? names : fieldsOf(layout).map(([name]) => name);
  const told = wanted.filter((name) => names.length > 0 || values[name] !== 0);
  return told.map((name) => `${name} ${hex(values[name] ?? 0)}`).join(", ") || "all bits 0";
}

/** A value as rows of bits, the most significant first, grouped into the fields of its layout. */
export function BitRow(props: BitRowProps) {
  const { layout, value, marked = [], label, onChange } = props;
  const shown = useLines(props);
  const title = label ?? layout.title;
  if (onChange !== undefined) return <Editable {...props} shown={shown} title={title} onChange={onChange} />;
  return (
    <div class="bit-row" role="img" aria-label={`${title}: ${spoken(layout, value, marked)}`}>
      {shown.map((line) => (
        <BitLine key={line.low} line={line} cells={props} />
      ))}
    </div>
  );
}

/** The lines that are shown. One that was edited to zeros stays where it is. */
function useLines({
  layout,
  value,
  before = null,
  marked = [],
  lines = "all",
  onChange,
}: BitRowProps): readonly Line[] {
  const all = useMemo(() => linesOf(layout), [layout]);
  const seen = useRef<{ layout: Layout; set: bigint }>({ layout, set: 0n });
  const set = value | (before ?? 0n);
  if (seen.current.layout !== layout) seen.current = { layout, set: 0n };
  if (lines === "all") return all;
  if (lines === "marked") return linesWith(all, marked, set);
  if (onChange !== undefined) seen.current.set |= set;
  return tellingLines(all, set | seen.current.set);
}

type EditableProps = BitRowProps &
  Required<Pick<BitRowProps, "onChange">> & { readonly title: string; readonly shown: readonly Line[] };

/** One stop of the tab key; arrow keys go from bit to bit, space turns one over, 0 and 1 type. */
function Editable({ title, shown, ...props }: EditableProps) {
  const { value, onChange } = props;
  const [at, setAt] = useState(0);
  const group = useRef<HTMLDivElement>(null);
  const help = useId();
  const there = shown.findIndex(({ low, high }) => low <= at && at <= high);
  const index = there < 0 ? shown.length - 1 : there;
  const line = shown[index]!;
  const current = there < 0 ? line.low : at;

  const visit = (bit: number | undefined): void => {
    if (bit === undefined) return;
    setAt(bit);
    group.current?.querySelector<HTMLElement>(`[data-bit="${bit}"]`)?.focus();
  };
  const set = (to: 0 | 1): void => {
    if (bitOf(value, current) !== to) onChange(value ^ (1n << BigInt(current)));
  };
  const upper = shown[index - 1];
  const lower = shown[index + 1];
  const next = current > line.low ? current - 1 : lower?.high;
  const column = current - line.low;
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const ways: Readonly<Record<string, number | undefined>> = {
      ArrowLeft: current < line.high ? current + 1 : upper?.low,
      ArrowRight: next,
      ArrowUp: upper && Math.min(upper.low + column, upper.high),
      ArrowDown: lower && lower.low + column,
      Home: line.high,
      End: line.low,
    };
    if (event.key === "0" || event.key === "1") {
      set(event.key === "1" ? 1 : 0);
      visit(next);
    } else if (Object.hasOwn(ways, event.key)) visit(ways[event.key]);
    else return;
    event.preventDefault();
  };
  return (
    <div
      class="bit-row editable"
      role="group"
      aria-label={title}
      aria-describedby={help}
      ref={group}
      onKeyDown={press}
    >
      {shown.map((line) => (
        <BitLine
          key={line.low}
          line={line}
          cells={props}
          edit={{ current, visit: setAt, toggle: (bit) => onChange(value ^ (1n << BigInt(bit))) }}
        />
      ))}
      <span id={help} class="visually-hidden">
        Arrow keys go from bit to bit, space turns a bit over, 0 and 1 set it and go on.
      </span>
    </div>
  );
}

interface Edit {
  readonly current: number;
  readonly visit: (bit: number) => void;
  readonly toggle: (bit: number) => void;
}

interface LineProps {
  readonly line: Line;
  readonly cells: BitRowProps;
  readonly edit?: Edit;
}

function BitLine({ line, cells, edit }: LineProps) {
  return (
    <div class="bit-line">
      {line.runs.map((run) => (
        <BitRun key={run.low} run={run} column={line.low + lineBits - run.high} cells={cells} edit={edit} />
      ))}
    </div>
  );
}

interface RunProps {
  readonly run: Run;
  /** From 1. */
  readonly column: number;
  readonly cells: BitRowProps;
  readonly edit: Edit | undefined;
}

function BitRun({ run, column, cells, edit }: RunProps) {
  const { high, low, field } = run;
  const { layout, value, before = null, marked = [], naming = "spec", onSelect } = cells;
  const count = high - low + 1;
  const declared = field === null ? undefined : layout.fields[field];
  const name = field === null ? "" : naming === "linux" ? (declared?.linux ?? field) : field;
  const classes = ["bit-run"];
  if (field === null) classes.push(layout.reserved === undefined ? "free" : "reserved");
  const matters = field !== null && marked.includes(field);
  if (matters) classes.push("marked");
  // A name that is wider than its bits stands upright where one wants to read it.
  if (name.length > 4 * count && (matters || edit !== undefined)) classes.push("narrow");
  const title = declared?.title ?? (layout.reserved === undefined ? "not named" : "reserved");
  const bits = Array.from({ length: count }, (_, i) => high - i);
  return (
    <div
      class={classes.join(" ")}
      style={{ gridColumn: `${column} / span ${count}`, "--bits": count }}
      title={`${count === 1 ? `bit ${high}` : `bits ${high}:${low}`} ${name} — ${title}`}
      onPointerEnter={onSelect && (() => onSelect(field))}
    >
      <span class="bit-edges" aria-hidden="true">
        <span>{high}</span>
        {count > 1 ? <span>{low}</span> : null}
      </span>
      <span class="bit-cells">
        {bits.map((bit) => {
          const content = bitOf(value, bit);
          const changed = before !== null && bitOf(before, bit) !== content;
          const look = `bit${content ? " on" : ""}${changed ? " changed" : ""}`;
          if (edit === undefined) return <span class={look}>{content}</span>;
          return (
            <button
              type="button"
              class={look}
              data-bit={bit}
              aria-pressed={content === 1}
              aria-label={`bit ${bit}, ${name === "" ? title : name}: ${content}${changed ? ", changed" : ""}`}
              tabIndex={bit === edit.current ? 0 : -1}
              onClick={() => (edit.visit(bit), edit.toggle(bit))}
              onFocus={() => (edit.visit(bit), onSelect?.(field))}
            >
              {content}
            </button>
          );
        })}
      </span>
      <span class="bit-name" aria-hidden="true">
        {name}
      </span>
    </div>
  );
}
