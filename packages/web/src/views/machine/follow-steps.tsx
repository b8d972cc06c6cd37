import type { FollowStep } from "@intremap/core";
import { useLayoutEffect, useRef } from "preact/hooks";
import { RuleNote } from "../../parts/rule-note.tsx";
import { change, route } from "../../state/route.ts";
import { Origins } from "./origins.tsx";

/** Where on its way: what the reader calls it. */
const parts: Readonly<Record<FollowStep["part"], string>> = {
  source: "device",
  requester: "bus",
  unit: "IOMMU",
  decision: "entry",
  processor: "APIC",
  linux: "Linux",
  posting: "descriptor",
  guest: "vCPU",
};

const tones: Readonly<Partial<Record<FollowStep["verdict"], readonly [mark: string, tone: string]>>> = {
  held: ["✓", "good"],
  "passed here": ["✓", "good"],
  delivered: ["✓", "good"],
  posted: ["✓", "good"],
  "blocked here": ["✕", "bad"],
  "lost here": ["✕", "bad"],
  "not sent": ["✕", "bad"],
  "not known": ["?", "warn"],
};

/** A way step by step: arrow keys, Home and End go along it. */
export function FollowSteps({ path }: { readonly path: readonly FollowStep[] }) {
  const list = useRef<HTMLOListElement>(null);
  const focus = useRef(false);
  const last = lastReached(path);
  const asked = Number(route.value.query["step"] ?? 0);
  const at = asked >= 1 && asked <= path.length ? Math.floor(asked) : last;
  const moveTo = (step: number): void => {
    focus.current = true;
    change({ step: String(Math.max(1, Math.min(path.length, step))) }, "replace");
  };
  useLayoutEffect(() => {
    if (!focus.current) return;
    focus.current = false;
    list.current?.querySelector<HTMLButtonElement>(`[data-step="${at}"] > button`)?.focus();
  });
  // Only the panel is scrolled, not the page.
  useLayoutEffect(() => {
    if (asked === 0) return;
    const side = list.current?.closest(".side");
    const step = list.current?.querySelector(`[data-step="${at}"]`);
    if (!side || !step) return;
    const [outer, inner] = [side.getBoundingClientRect(), step.getBoundingClientRect()];
    if (inner.bottom > outer.bottom) side.scrollTop += inner.bottom - outer.bottom + 8;
    else if (inner.top < outer.top) side.scrollTop -= outer.top - inner.top + 8;
  }, [at]);
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: at + 1,
    ArrowRight: at + 1,
    ArrowUp: at - 1,
    ArrowLeft: at - 1,
    Home: 1,
    End: path.length,
  };
  if (path.length === 0) return null;
  return (
    <ol
      class="steps"
      ref={list}
      aria-label="Steps; arrow keys go along them"
      onKeyDown={(event) => {
        const next = moves[event.key];
        if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        moveTo(next);
      }}
    >
      {path.map((one, index) => (
        <OneStep
          key={one.step}
          one={one}
          first={path[index - 1]?.part !== one.part}
          current={one.step === at}
          moveTo={moveTo}
        />
      ))}
    </ol>
  );
}

/** Where a way ends: what comes behind it was not reached. */
function lastReached(path: readonly FollowStep[]): number {
  const at = path.findLastIndex(({ verdict }) => verdict !== "not reached" && verdict !== "does not apply");
  return at < 0 ? 1 : at + 1;
}

interface OneStepProps {
  readonly one: FollowStep;
  /** The first of its part of the way. */
  readonly first: boolean;
  readonly current: boolean;
  readonly moveTo: (step: number) => void;
}

function OneStep({ one, first, current, moveTo }: OneStepProps) {
  const { step, part, title, verdict, detail, rule, evidence } = one;
  const [mark, tone] = tones[verdict] ?? ["·", "faint"];
  return (
    <li data-step={step} class={current ? "current" : undefined}>
      <button
        type="button"
        tabIndex={current ? 0 : -1}
        aria-current={current ? "step" : undefined}
        onClick={() => moveTo(step)}
      >
        <span class={`part${first ? "" : " same"}`}>{parts[part]}</span>
        <span class="title">{title}</span>
        <span class={`verdict ${tone}`}>
          <span aria-hidden="true">{mark}</span> {verdict}
        </span>
      </button>
      {current ? (
        <div class="body">
          {detail === "" ? null : <p>{detail}</p>}
          {rule === null ? null : <RuleNote id={rule} />}
          <Origins of={evidence} />
        </div>
      ) : null}
    </li>
  );
}
