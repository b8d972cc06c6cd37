import type { AvicStepId } from "../../linux/posting/avic-steps.ts";
import type { VmxStepId } from "../../linux/posting/vmx-step-ids.ts";
import { avicPhysicalEntry } from "../../spec/apic/avic.ts";
import type { Layout } from "../../spec/layout.ts";
import { ruleOf } from "../../spec/rules.ts";
import { irtePosted, irteRemapped, postedDescriptor } from "../../spec/vtd/irte.ts";
import type { Stop, Touched, WalkStep } from "../walkthrough/step.ts";
import { written } from "../walkthrough/structures.ts";
import type { Seen } from "./seen.ts";
import type { Beat, Sequence } from "./sequence.ts";
import { ruleOfMove } from "./step-rules.ts";

/** Structures that have bits, and where on an interrupt's way they are. */
const layouts: readonly (readonly [Layout, Stop])[] = [
  [postedDescriptor, "descriptor"],
  [avicPhysicalEntry, "descriptor"],
  [irtePosted, "entry"],
  [irteRemapped, "entry"],
];

/** Where steps are that change nothing of those. */
const stopsOfSteps: Readonly<Partial<Record<VmxStepId | AvicStepId, Stop>>> = {
  "device-notify": "apic",
  "device-set-irr": "descriptor",
  "device-test-running": "entry",
  "device-doorbell": "descriptor",
  "device-log": "descriptor",
  "ipi-request": "descriptor",
  "ipi-test-running": "descriptor",
  "ipi-doorbell": "descriptor",
  "load-update-entries": "entry",
  "put-update-entries": "entry",
  "assign-write-entry": "entry",
  "release-write-entry": "entry",
  "affinity-write": "entry",
};

/** What counts is the order: a nanosecond for each move. */
const moveTime = 1;

/** A counterexample as steps along an interrupt's way: one for each move. */
export function raceSteps({ first, beats }: Sequence): WalkStep[] {
  return beats.map((beat, i) => {
    const { move, lane, seen } = beat;
    const touched = touchedBy(i === 0 ? first : beats[i - 1]!.seen, seen);
    const stop = stopOf(beat, touched);
    const rule = ruleOfMove(move);
    const called = isCalled(move.routine);
    return {
      at: i * moveTime,
      episode: 0,
      stop,
      actor: lane,
      title: move.step,
      detail: [
        move.does,
        ...(move.rest ?? []).map(({ step, does }) => `${step}: ${does}`),
        ...(stop === "entry" || i === beats.length - 1 ? entriesIn(seen) : []),
      ].join(" "),
      verdict: null,
      rule,
      section: rule === null ? null : ruleOf(rule).section,
      touched,
      thread: called ? lane : null,
      stack: called ? [move.routine] : [],
      request: null,
    };
  });
}

/** What entries say of which the model has no bits, in words. */
function entriesIn(seen: readonly Seen[]): string[] {
  return seen
    .filter(({ what, bits }) => bits === undefined && what.startsWith("IRTE "))
    .map(({ what, values }) => {
      const shown = ["leads to", "IsRun", "Destination", "GALogIntr", "RemapEn"];
      return `${what}: ${shown.map((name) => `${name} ${values[name]}`).join(", ")}.`;
    });
}

/** Whether a routine is a function of the kernel's: what hardware, a guest and the scheduler do has no calls to show. */
function isCalled(routine: string): boolean {
  return routine !== "" && !/^(?:hardware: .*|guest|host|scheduler)$/.test(routine);
}

function stopOf({ lane, move }: Beat, touched: readonly Touched[]): Stop {
  const [at] = touched.map(({ layout }) => layouts.find(([{ name }]) => name === layout)![1]);
  const stop = at ?? (stopsOfSteps as Readonly<Record<string, Stop>>)[move.step];
  if (stop !== undefined) return stop;
  if (lane === "IOMMU") return "unit";
  if (lane.startsWith("cpu ")) return "apic";
  if (lane.startsWith("vcpu ") && /^(?:guest|hardware)/.test(move.routine)) return "vcpu";
  return "software";
}

function touchedBy(before: readonly Seen[], after: readonly Seen[]): Touched[] {
  return after.flatMap(({ what, bits }, i) => {
    const was = before[i]!.bits;
    if (bits === undefined || was === undefined || bits.value === was.value) return [];
    const [layout] = layouts.find(([{ name }]) => name === bits.layout)!;
    return [written(what, layout, was.value, bits.value)];
  });
}
