import { avicPhysicalEntry } from "../../spec/apic/avic.ts";
import type { Layout } from "../../spec/layout.ts";
import { irtePosted, irteRemapped, postedDescriptor } from "../../spec/vtd/irte.ts";
import type { Stop, Touched, WalkStep } from "../walkthrough/step.ts";
import { written } from "../walkthrough/structures.ts";
import type { Seen } from "./seen.ts";
import type { Beat, Sequence } from "./sequence.ts";

const layouts: readonly Layout[] = [postedDescriptor, irtePosted, irteRemapped, avicPhysicalEntry];

/** What counts is the order: a nanosecond for each move. */
const moveTime = 1;

/** A counterexample as steps along an interrupt's way: one for each move. */
export function raceSteps({ first, beats }: Sequence): WalkStep[] {
  return beats.map((beat, i) => {
    const { move } = beat;
    const touched = touchedBy(i === 0 ? first : beats[i - 1]!.seen, beat.seen);
    return {
      at: i * moveTime,
      episode: 0,
      stop: stopOf(beat, touched),
      actor: beat.lane,
      title: move.step,
      detail: [move.does, ...(move.rest ?? []).map(({ step, does }) => `${step}: ${does}`)].join(" "),
      verdict: null,
      rule: null,
      section: null,
      touched,
      thread: move.actor,
      stack: move.routine === "" ? [] : [move.routine],
      request: null,
    };
  });
}

function stopOf({ lane, move }: Beat, touched: readonly Touched[]): Stop {
  if (lane === "IOMMU") return touched.some(isDescriptor) ? "descriptor" : "unit";
  if (lane.startsWith("cpu ")) return touched.some(isDescriptor) ? "descriptor" : "apic";
  if (lane.startsWith("vcpu ") && /^(?:guest|hardware)/.test(move.routine)) return "vcpu";
  return "software";
}

function isDescriptor({ layout }: Touched): boolean {
  return layout === postedDescriptor.name;
}

function touchedBy(before: readonly Seen[], after: readonly Seen[]): Touched[] {
  return after.flatMap(({ what, bits }, i) => {
    const was = before[i]!.bits;
    if (bits === undefined || was === undefined || bits.value === was.value) return [];
    const layout = layouts.find(({ name }) => name === bits.layout)!;
    return [written(what, layout, was.value, bits.value)];
  });
}
