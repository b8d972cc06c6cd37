import type { PlayTitle, Protocol, Size } from "./protocol.ts";
import type { Counterexample, Exploration } from "./search.ts";

/** What came of one play. */
export interface PlayResult {
  readonly name: string;
  readonly title: string;
  readonly states: number;
  readonly transitions: number;
  /** Moves to the farthest state. */
  readonly depth: number;
  /** All in all, and of these the search for rounds once all states were known. */
  readonly seconds: number;
  readonly roundSeconds: number;
  /** While states were explored. */
  readonly statesPerSecond: number;
  readonly bytesPerState: number;
  readonly exhausted: boolean;
  /** What ran out before the states did. */
  readonly stopped: "states" | "memory" | null;
  readonly counterexample: NumberedCounterexample | null;
}

/** A counterexample as it is printed. */
export interface NumberedCounterexample {
  readonly property: string;
  readonly steps: Counterexample["moves"];
  /** The number of the step with which a round begins that can go on for ever. */
  readonly roundFrom: number | null;
}

export interface Verdict {
  readonly vendor: Protocol["vendor"];
  readonly size: Size;
  readonly without: string | null;
  readonly workers: number;
  readonly plays: readonly PlayResult[];
}

/** Of all plays together. */
export type Totals = Pick<
  PlayResult,
  "states" | "transitions" | "seconds" | "statesPerSecond" | "bytesPerState" | "exhausted" | "counterexample"
>;

/** How long a search took, in milliseconds: all in all, to see all states, and to look for rounds among them. */
export interface SearchTimes {
  readonly all: number;
  readonly exploring: number;
  readonly rounds: number;
}

export function playResult({ name, title }: PlayTitle, found: Exploration, times: SearchTimes): PlayResult {
  const { states, transitions, depth, bytes, exhausted, stopped, counterexample } = found;
  return {
    name,
    title,
    states,
    transitions,
    depth,
    seconds: seconds(times.all),
    roundSeconds: seconds(times.rounds),
    statesPerSecond: Math.round((1000 * states) / Math.max(times.exploring, 1)),
    bytesPerState: Math.round((10 * bytes) / states) / 10,
    exhausted,
    stopped,
    counterexample: counterexample && {
      property: counterexample.property,
      steps: counterexample.moves,
      roundFrom: counterexample.roundFrom === null ? null : counterexample.roundFrom + 1,
    },
  };
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds) / 1000;
}

export function totalsOf(plays: readonly PlayResult[]): Totals {
  const sum = (of: (play: PlayResult) => number): number => plays.reduce((all, play) => all + of(play), 0);
  const states = sum((play) => play.states);
  const exploring = sum((play) => play.states / play.statesPerSecond);
  return {
    states,
    transitions: sum((play) => play.transitions),
    seconds: Math.round(1000 * sum((play) => play.seconds)) / 1000,
    statesPerSecond: Math.round(states / exploring),
    bytesPerState: Math.round((10 * sum((play) => play.states * play.bytesPerState)) / states) / 10,
    exhausted: plays.every(({ exhausted }) => exhausted),
    counterexample: plays.find(({ counterexample }) => counterexample !== null)?.counterexample ?? null,
  };
}
