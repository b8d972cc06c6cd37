import { useEffect, useId, useRef } from "preact/hooks";
import { type Task, useEngine } from "../../engine/use-task.ts";
import { Notice } from "../../parts/notice.tsx";
import type { WalkChoice } from "../../engine/walk-runs.ts";
import { Waiting } from "../../parts/waiting.tsx";
import { hrefOf, route } from "../../state/route.ts";
import { queryOfRun } from "../../state/run-query.ts";
import { besidePrefix } from "../path/scenario-form.tsx";
import { withoutPlace } from "../path/row-choice.ts";
import { type Walked, useWalk } from "../path/use-walk.ts";
import { LessonQuestion } from "./lesson-question.tsx";
import { LessonRuns } from "./lesson-runs.tsx";
import type { Lesson, LessonChange } from "./lesson.ts";
import { lessons } from "./lessons.ts";

/** What the address names, from 1; null where it names none. */
function indexIn(text: string | undefined, count: number): number | null {
  const index = /^\d{1,2}$/.test(text ?? "") ? Number(text) - 1 : -1;
  return index >= 0 && index < count ? index : null;
}

/** A guided tour: at each stop a run, something to change, and a question that looking answers. */
export function LearnView() {
  const { query } = route.value;
  const at = indexIn(query["stop"], lessons.length) ?? 0;
  const lesson = lessons[at]!;
  const change = indexIn(query["change"], lesson.changes.length);
  const beside = change === null ? null : lesson.changes[change]!;
  const first = beside?.from?.run ?? lesson.run;
  const names = [beside?.from?.label ?? "as it is", ...(beside === null ? [] : [beside.label])];
  const symbols = [lesson.stacks, beside?.stacks ?? lesson.stacks];
  const engine = useEngine();
  const stacks = [...new Set(symbols)].filter((symbol) => symbol !== undefined);
  const task = useWalk(engine, { left: first, right: beside?.run ?? null, stacks }, `${at} ${change}`);
  const title = useRef<HTMLHeadingElement>(null);
  const before = useRef(at);
  useEffect(() => {
    if (before.current !== at) title.current!.focus();
    before.current = at;
  }, [at]);
  const place = { lesson, at, chosen: change };
  return (
    <div class="learn">
      <h1>Learn</h1>
      <Stops at={at} />
      <article class="lesson" key={at}>
        <header>
          <p class="lesson-system">
            {at < lessons.length - 1 ? `${at + 1} of ${lessons.length - 1}: ` : ""}
            {lesson.system}
          </p>
          <h2 ref={title} tabIndex={-1}>
            {lesson.title}
          </h2>
        </header>
        <div class="lesson-text">
          {lesson.text.map((paragraph) => (
            <p key={paragraph}>{paragraph}</p>
          ))}
          <Changes title="Change one thing" isWanted={(one) => one.other !== true} {...place} />
          <Changes title="Look at another run" isWanted={(one) => one.other === true} {...place} />
        </div>
        <LessonQuestion lesson={lesson} answer={indexIn(query["answer"], lesson.question.choices.length)} />
      </article>
      <section aria-label="The run">
        <Live task={task} {...{ names, symbols, lesson }} />
      </section>
      <Onward {...place} />
    </div>
  );
}

function Stops({ at }: { readonly at: number }) {
  return (
    <nav class="stops" aria-label="Stops">
      <ol>
        {lessons.map(({ name }, i) => (
          <li key={name}>
            <a href={hrefOf("learn", { stop: String(i + 1) })} aria-current={i === at ? "step" : undefined}>
              <b>{i < lessons.length - 1 ? i + 1 : "?"}</b> <span>{name}</span>
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

interface PlaceProps {
  readonly lesson: Lesson;
  readonly at: number;
  /** The change that runs beside. */
  readonly chosen: number | null;
}

interface ChangesProps extends PlaceProps {
  readonly title: string;
  readonly isWanted: (change: LessonChange) => boolean;
}

function Changes({ title, isWanted, lesson: { changes }, at, chosen }: ChangesProps) {
  const id = useId();
  const { change: _, ...kept } = withoutPlace(route.value.query);
  const query = { ...kept, stop: String(at + 1) };
  if (!changes.some(isWanted)) return null;
  return (
    <div class="lesson-changes">
      <h3 id={id}>{title}</h3>
      <ul aria-labelledby={id}>
        {changes.map((change, i) =>
          isWanted(change) ? (
            <li key={change.label}>
              <a
                href={hrefOf("learn", i === chosen ? query : { ...query, change: String(i + 1) })}
                aria-current={i === chosen ? "true" : undefined}
              >
                {change.label}
              </a>
            </li>
          ) : null,
        )}
      </ul>
    </div>
  );
}

interface LiveProps {
  readonly task: Task<Walked>;
  readonly names: readonly string[];
  readonly symbols: readonly (string | undefined)[];
  readonly lesson: Lesson;
}

function Live({ task, names, symbols, lesson }: LiveProps) {
  if (task.state === "failed") {
    return (
      <Notice kind="error" title="This run came to nothing">
        {task.message}
      </Notice>
    );
  }
  if (task.state === "done") {
    return <LessonRuns walked={task.result} names={names} arrival={lesson.arrival} stacks={symbols} />;
  }
  const stop = task.state === "running" ? task.stop : () => {};
  return (
    <Waiting
      title={`Running ${lesson.run.scenario}`}
      progress={task.state === "running" ? task.progress : ""}
      stop={stop}
    />
  );
}

/** To look on: the same runs step by step, what belongs to them elsewhere, and the next stop. */
function Onward({ lesson, at, chosen }: PlaceProps) {
  const { run: own, changes, links } = lesson;
  const { from, run: beside } = (chosen === null ? undefined : changes[chosen]) ?? {};
  return (
    <footer class="onward">
      <ul aria-label="Look on">
        <li>
          <a href={pathOf(from?.run ?? own, beside)}>Step through it in Path</a>
        </li>
        {links.map(({ label, view, query }) => (
          <li key={label}>
            <a href={hrefOf(view, query)}>{label}</a>
          </li>
        ))}
      </ul>
      <p class="lesson-steps">
        {at === 0 ? null : <a href={hrefOf("learn", { stop: String(at) })}>← {lessons[at - 1]!.name}</a>}
        {at === lessons.length - 1 ? null : (
          <a class="next" href={hrefOf("learn", { stop: String(at + 2) })}>
            {lessons[at + 1]!.name} →
          </a>
        )}
      </p>
    </footer>
  );
}

/** Path has two runs side by side where they are of one scenario, or the one beside is as its file says. */
function pathOf(run: WalkChoice, beside: WalkChoice | undefined): string {
  const query = queryOfRun(run);
  if (beside === undefined) return hrefOf("path", query);
  const { scenario, variant, values = {} } = beside;
  if (variant !== undefined && scenario !== run.scenario) return hrefOf("path", queryOfRun(beside));
  const set = Object.entries(values).map(([name, value]) => [`${besidePrefix}${name}`, `${value}`]);
  return hrefOf("path", { ...query, compare: variant ?? scenario, ...Object.fromEntries(set) });
}
