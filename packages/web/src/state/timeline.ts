import { signal } from "@preact/signals";
import { Engine } from "../engine/engine.ts";
import type { Recorded } from "../engine/kept-timeline.ts";
import { go } from "./route.ts";

/** What a timeline is of, as the address names it. */
export type TimelineSource =
  | {
      readonly kind: "scenario";
      readonly scenario: string;
      readonly variant: string | undefined;
      readonly values: Readonly<Record<string, number>>;
    }
  /** A file does not fit into an address: its name and size stand for it. */
  | { readonly kind: "file"; readonly name: string; readonly size: number };

export type TimelineReading =
  | { readonly state: "none" }
  | { readonly state: "stopped"; readonly key: string }
  | { readonly state: "recording"; readonly key: string; readonly progress: string }
  | { readonly state: "failed"; readonly key: string; readonly message: string }
  | { readonly state: "open"; readonly key: string; readonly recorded: Recorded };

/** The timeline that is open, or on the way. It outlives the view: who comes back finds it as it was. */
export const timelineReading = signal<TimelineReading>({ state: "none" });

/** Keeps the timeline that is open. */
export const timelineEngine = new Engine();

/** What the view keeps in the address beside the source; every other number is a parameter of the scenario. */
const ownKeys: ReadonlySet<string> = new Set(
  "scenario variant file size from to scale select find folded request".split(" "),
);

export function sourceOf(query: Readonly<Record<string, string>>): TimelineSource | null {
  const { scenario, variant, file, size } = query;
  if (file !== undefined) return { kind: "file", name: file, size: Number(size ?? 0) };
  if (scenario === undefined) return null;
  const values = Object.entries(query)
    .filter(([key, value]) => !ownKeys.has(key) && /^\d{1,10}$/.test(value))
    .map(([key, value]) => [key, Number(value)] as const)
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return { kind: "scenario", scenario, variant, values: Object.fromEntries(values) };
}

export function keyOf(source: TimelineSource): string {
  return JSON.stringify(source);
}

/** Records a scenario, unless that is what is open. */
export function record(source: TimelineSource & { kind: "scenario" }): void {
  const key = keyOf(source);
  const before = timelineReading.value;
  if (before.state !== "none" && before.state !== "stopped" && before.key === key) return;
  const { scenario, variant, values } = source;
  const choice = { scenario, values, ...(variant !== undefined && { variant }) };
  begin(key, (tell) => timelineEngine.ask("recordTimeline", choice, tell));
}

/** Opens a QEMU trace and shows it. @param content what was pasted, or the file itself. */
export function openTrace(name: string, content: File | string): void {
  const size = typeof content === "string" ? content.length : content.size;
  begin(keyOf({ kind: "file", name, size }), (tell) =>
    timelineEngine.ask("traceTimeline", { name, content }, tell),
  );
  go("timeline", { file: name, size: `${size}` });
}

/** Ends what is on the way. */
export function stopTimeline(): void {
  const { value } = timelineReading;
  timelineEngine.stop();
  if (value.state === "recording") timelineReading.value = { state: "stopped", key: value.key };
}

function begin(key: string, ask: (tell: (progress: string) => void) => Promise<Recorded>): void {
  // The one before may be large: its memory goes first.
  timelineEngine.stop();
  const show = (next: TimelineReading): void => {
    const { value } = timelineReading;
    if (value.state === "recording" && value.key === key) timelineReading.value = next;
  };
  timelineReading.value = { state: "recording", key, progress: "" };
  ask((progress) => show({ state: "recording", key, progress })).then(
    (recorded) => show({ state: "open", key, recorded }),
    (error: Error) => show({ state: "failed", key, message: error.message }),
  );
}
