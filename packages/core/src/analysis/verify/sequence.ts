import type { Counterexample } from "./search.ts";
import type { Seen } from "./seen.ts";
import type { Move, ToldWorld } from "./world.ts";

/** What goes from one lane to another in a move. */
export interface Arrow {
  readonly from: string;
  readonly to: string;
  /** `MSI`, `F2h`, `doorbell`, `host's vector`, `wake-up`, `sleeps`. */
  readonly what: string;
}

/** Something that holds otherwise after a move. */
export interface Change {
  readonly what: string;
  /** One of {@link Seen.values}. */
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** One move, as a sequence diagram has it. */
export interface Beat {
  readonly move: Move;
  /** Where it happens: a device's move is the remapping unit's doing. */
  readonly lane: string;
  readonly arrows: readonly Arrow[];
  /** Everything that one sees behind it, and what of it has changed. */
  readonly seen: readonly Seen[];
  readonly changes: readonly Change[];
}

/** A counterexample with what one sees between its moves. */
export interface Sequence {
  readonly property: string;
  /** The move with which a round begins that can go on for ever, from 0; null if nothing goes round. */
  readonly roundFrom: number | null;
  /** Who takes part, from left to right. */
  readonly lanes: readonly string[];
  /** Before the first move. */
  readonly first: readonly Seen[];
  readonly beats: readonly Beat[];
}

const unit = "IOMMU";
const host = "host";
const scheduler = "scheduler";

/** @param world as the search began with it: the moves are made in it once more. */
export function sequenceOf(world: ToldWorld, { property, codes, roundFrom }: Counterexample): Sequence {
  const first = world.look();
  const beats: Beat[] = [];
  /** Where the actor of each move was last. */
  const lanes = new Map<string, string>();
  let before = first;
  for (const code of codes) {
    const move = world.describe(code);
    world.heard = [];
    world.play(code);
    const { heard } = world;
    world.heard = null;
    const seen = world.look();
    const changes = changesBetween(before, seen);
    const lane = laneOf(move);
    const arrows: Arrow[] = [];
    const last = lanes.get(move.actor);
    lanes.set(move.actor, lane);
    if (lane === unit && last === undefined) arrows.push({ from: move.actor, to: unit, what: "MSI" });
    if (lane === host && last === unit) arrows.push({ from: unit, to: host, what: "host's vector" });
    for (const { to, what } of heard) arrows.push({ from: lane, to, what });
    for (const change of changes) arrows.push(...scheduling(change, seen));
    beats.push({ move, lane, arrows: distinct(arrows), seen, changes });
    before = seen;
  }
  return { property, roundFrom, lanes: lanesOf(beats), first, beats };
}

function laneOf({ actor, routine }: Move): string {
  if (!actor.startsWith("device ")) return actor;
  // What the unit does not post goes to the host, whose handler gives it to KVM.
  return routine.startsWith("hardware") ? unit : host;
}

function changesBetween(before: readonly Seen[], after: readonly Seen[]): Change[] {
  return after.flatMap(({ what, values }, i) =>
    Object.entries(values)
      .map(([name, to]) => ({ what, name, from: before[i]!.values[name]!, to }))
      .filter(({ from, to }) => from !== to),
  );
}

/** A thread that gets a CPU or gives it up does so by the scheduler. */
function scheduling({ what, name, from, to }: Change, seen: readonly Seen[]): Arrow[] {
  if (name !== "thread") return [];
  if (to === "asleep") return [{ from: what, to: scheduler, what: "sleeps" }];
  if (to === "waits for a CPU") {
    return from === "asleep" ? [] : [{ from: what, to: scheduler, what: "gives its CPU up" }];
  }
  if (from !== "waits for a CPU") return [];
  const { values } = seen.find((each) => each.what === what)!;
  return [{ from: scheduler, to: what, what: `gets cpu ${values["cpu"]}` }];
}

function distinct(arrows: readonly Arrow[]): Arrow[] {
  const known = new Map<string, Arrow>();
  for (const arrow of arrows) {
    if (arrow.from !== arrow.to) known.set(`${arrow.from}>${arrow.to}: ${arrow.what}`, arrow);
  }
  return [...known.values()];
}

/** From what sends to what is sent to; who has no place of its own stands behind them. */
const order = [/^device /, /^IOMMU$/, /^guest log$/, /^cpu /, /^vcpu /, /^scheduler$/, /./];

function rank(lane: string): number {
  return order.findIndex((each) => each.test(lane));
}

function lanesOf(beats: readonly Beat[]): string[] {
  const lanes = new Set(
    beats.flatMap(({ lane, arrows }) => [lane, ...arrows.flatMap(({ from, to }) => [from, to])]),
  );
  return [...lanes].sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
}
