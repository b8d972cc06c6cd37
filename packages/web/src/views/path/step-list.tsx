import type { WalkStep } from "@intremap/core";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { stopTitles } from "./stop-state.ts";
import { type Walk, countBefore } from "./telling.ts";
import { verdictMark } from "../../parts/verdict.tsx";
import type { RowChoice } from "./row-choice.ts";

const rowHeight = 26;
const captionHeight = 28;
/** Rows beyond those that are seen, above and below. */
const spare = 8;

interface StepListProps extends RowChoice {
  readonly walk: Walk;
}

/** Where each row begins: rows of one height, and captions of episodes between them. */
interface Placing {
  readonly height: number;
  readonly top: (row: number) => number;
  readonly rowAt: (y: number) => number;
}

function placingOf({ rows, episodeStarts }: Walk): Placing {
  const top = (row: number): number => row * rowHeight + countBefore(episodeStarts, row) * captionHeight;
  const rowAt = (y: number): number => {
    let [low, high] = [0, Math.max(0, rows.length - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (top(middle) <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  return { height: top(rows.length), top, rowAt };
}

/** Every step, of which only those that are seen are in the page. */
export function StepList({ walk, row, goTo }: StepListProps) {
  const { rows, episodeStarts, tellings } = walk;
  const list = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ first: 0, last: Math.ceil(400 / rowHeight) });
  const placing = useMemo(() => placingOf(walk), [walk]);
  const starts = useMemo(() => new Set(episodeStarts), [episodeStarts]);

  const first = Math.max(0, seen.first - spare);
  const last = Math.min(rows.length - 1, seen.last + spare);
  // What is spare is used up before others are drawn.
  const look = (): void => {
    // A browser tells of scrolling a frame later: the list may be gone.
    if (list.current === null) return;
    const { scrollTop, clientHeight } = list.current;
    const [top, bottom] = [placing.rowAt(scrollTop), placing.rowAt(scrollTop + clientHeight)];
    if (top < first || Math.min(bottom, rows.length - 1) > last) setSeen({ first: top, last: bottom });
  };
  const looking = useRef(look);
  looking.current = look;
  // An effect that is not of the layout would be ended after the list is gone.
  useLayoutEffect(() => {
    const watch = new ResizeObserver(() => looking.current());
    watch.observe(list.current!);
    return () => watch.disconnect();
  }, []);
  // The row that is looked at is kept in sight, with what comes next: what is gone to from afar stands well above the middle.
  useEffect(() => {
    const box = list.current!;
    const [top, bottom] = [placing.top(row), placing.top(row + 1)];
    const { scrollTop, clientHeight } = box;
    const margin = Math.min(80, clientHeight / 4);
    const inSight = top >= scrollTop && bottom <= scrollTop + clientHeight;
    if (!inSight) box.scrollTop = Math.max(0, top - clientHeight / 4);
    else if (top - margin < scrollTop) box.scrollTop = Math.max(0, top - margin);
    else if (bottom + margin > scrollTop + clientHeight) box.scrollTop = bottom + margin - clientHeight;
    looking.current();
  }, [row, placing]);

  const drawn = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  const press = (event: KeyboardEvent): void => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (by === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    goTo(row + by, "replace");
    event.preventDefault();
  };
  return (
    <div
      class={`step-list${tellings.length > 1 ? " pairs" : ""}`}
      role="listbox"
      aria-label="Steps"
      aria-activedescendant={`step-${row}`}
      tabIndex={0}
      ref={list}
      onKeyDown={press}
      onScroll={look}
    >
      <div class="step-list-all" role="presentation" style={{ height: `${placing.height}px` }}>
        {(row < first || row > last ? [...drawn, row] : drawn).map((at) => (
          <div
            key={at}
            id={`step-${at}`}
            class="step-row"
            role="option"
            aria-selected={at === row}
            aria-setsize={rows.length}
            aria-posinset={at + 1}
            style={{ transform: `translateY(${placing.top(at)}px)` }}
            onClick={() => goTo(at, "push")}
          >
            {starts.has(at) ? <span class="step-caption">{captionOf(walk, at)}</span> : null}
            <span class="step-line">
              <span class="step-number">{at + 1}</span>
              {rows[at]!.map((index, side) => (
                <StepCell
                  name={tellings[side]!.name}
                  step={index === null ? null : tellings[side]!.steps[index]!}
                />
              ))}
            </span>
          </div>
        ))}
      </div>
    </div>
  );
}

function captionOf({ tellings, rows }: Walk, at: number): string {
  for (const [side, index] of rows[at]!.entries()) {
    if (index === null) continue;
    const { steps, episodes } = tellings[side]!;
    return episodes[steps[index]!.episode]?.what ?? "";
  }
  return "";
}

function StepCell({ name, step }: { readonly name: string; readonly step: WalkStep | null }) {
  if (step === null) return <span class="step-cell" aria-label={`nothing in ${name}`} />;
  return (
    <span class="step-cell">
      <span class="step-stop">{stopTitles[step.stop]}</span>
      <span class="step-title">
        {verdictMark(step.verdict)}
        {step.title}
      </span>
    </span>
  );
}
