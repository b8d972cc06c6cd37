import type { Section } from "../../spec/cite.ts";
import type { RuleId } from "../../spec/rules.ts";
import type { FollowStep } from "../follow/following.ts";

/** Where on an interrupt's way something happens: the stops of the diagram, in their order. */
export const stops = [
  "device",
  "bus",
  "unit",
  "entry",
  "apic",
  "descriptor",
  "vcpu",
  /** What a kernel or a VMM does, in a thread of its own. */
  "software",
] as const;

export type Stop = (typeof stops)[number];

/** A structure that a step read or wrote. */
export interface Touched {
  /** Which one: `entry 5 of dmar0`, `descriptor of guest/0`. */
  readonly what: string;
  /** The name of its layout in `spec/`: `irte-remapped`. */
  readonly layout: string;
  /** Before a write; null where it was only read. */
  readonly before: bigint | null;
  /** As it was read, or after the write. */
  readonly value: bigint;
  /** Names of the layout's fields that the step is about. */
  readonly fields: readonly string[];
}

/** One thing that happened on a machine, as a reader steps through it. */
export interface WalkStep {
  /** Modelled nanoseconds since the machine was turned on. */
  readonly at: number;
  /** Which action of the script it belongs to: an index into the run's episodes. */
  readonly episode: number;
  readonly stop: Stop;
  /** Who it is about: `nic`, `dmar0`, `cpu 2`, `guest/0`. */
  readonly actor: string;
  /** A short clause: `the unit reads entry 5`. */
  readonly title: string;
  /** What was looked at or came of it, in one clause. */
  readonly detail: string;
  /** Of a unit's decision: what the step came to. */
  readonly verdict: FollowStep["verdict"] | null;
  readonly rule: RuleId | null;
  readonly section: Section | null;
  readonly touched: readonly Touched[];
  /** The thread that runs, and its calls at that moment, innermost first; of hardware's own doing none. */
  readonly thread: string | null;
  readonly stack: readonly string[];
  /** Which interrupt it belongs to, from 1, in the order in which devices sent them; null for what serves no single one. */
  readonly request: number | null;
}
