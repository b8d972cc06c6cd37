import { InputError, type WalkStep, raceSteps, readQuestion, sequenceOf } from "@intremap/core";
import { explorePlay } from "../races/explore.ts";
import { askedIn } from "../races/question.ts";
import type { Tell } from "../tasks.ts";

export interface RaceWalk {
  readonly title: string;
  /** What must not be, and is. */
  readonly property: string;
  /** The step with which a round begins that can go on for ever, from 0. */
  readonly roundFrom: number | null;
  readonly steps: readonly WalkStep[];
}

/**
 * A counterexample as steps along an interrupt's way.
 * @param query an address's: `race` is the vendor, the rest as the command's options.
 */
export function walkRace(query: Readonly<Record<string, string>>, tell: Tell): RaceWalk {
  const question = readQuestion(askedIn({ ...query, vendor: query["race"] ?? "intel" }));
  const { protocol, size, without, plays } = question;
  for (const [nth, play] of plays.entries()) {
    const { counterexample } = explorePlay(question, play, nth, ({ states, depth }) =>
      tell(`${states.toLocaleString("en")} states, ${depth} moves deep`),
    );
    if (counterexample === null) continue;
    const sequence = sequenceOf(protocol.world(play.name, size, without ?? undefined), counterexample);
    const what = without === null ? play.title : `${play.title}, without ${without}`;
    const { property, roundFrom } = sequence;
    return { title: `${property}: ${what}`, property, roundFrom, steps: raceSteps(sequence) };
  }
  throw new InputError(
    "nothing goes wrong in any order that was seen: there is no counterexample to step through",
  );
}
