import type { WalkChoice } from "../../engine/walk-runs.ts";
import type { Arrival } from "../path/telling.ts";

/** Something to change: what then runs beside the stop's own run. */
export interface LessonChange {
  readonly label: string;
  readonly run: WalkChoice;
  /** More is otherwise than one thing. */
  readonly other?: true;
  /** What it is held against in place of the stop's own run, and what that is in a few words. */
  readonly from?: { readonly label: string; readonly run: WalkChoice };
  /** In place of {@link Lesson.stacks}. */
  readonly stacks?: string;
}

/** One stop of the tour. */
export interface Lesson {
  /** In the list of stops. */
  readonly name: string;
  readonly title: string;
  /** What is looked at, in a few words. */
  readonly system: string;
  readonly text: readonly string[];
  readonly run: WalkChoice;
  readonly changes: readonly LessonChange[];
  /** The step of the run that one sees first. */
  readonly arrival: Arrival;
  /** A function whose call stacks are shown. */
  readonly stacks?: string;
  /** Where to look on: another view, and the state of it. */
  readonly links: readonly {
    readonly label: string;
    readonly view: string;
    readonly query: Readonly<Record<string, string>>;
  }[];
  readonly question: {
    readonly text: string;
    readonly choices: readonly string[];
    /** The choice that the run bears out. */
    readonly right: number;
    /** What one sees, and what it means. */
    readonly why: string;
  };
}
