import {
  type PlayResult,
  type Sequence,
  type Totals,
  type Verdict,
  joined,
  readQuestion,
  sequenceOf,
  totalsOf,
  writeCounterexample,
} from "@intremap/core";
import { tellCount } from "../races/count.ts";
import { type Explored, explorePlay } from "../races/explore.ts";
import { askedIn } from "../races/question.ts";
import type { Tell } from "../tasks.ts";

export interface RaceVerdict {
  /** As the command prints it. */
  readonly document: { readonly schema: "intremap/verify/1" } & Verdict & Totals;
  /** The first counterexample, and the play that it is of. */
  readonly shown: {
    readonly play: PlayResult;
    readonly sequence: Sequence;
    readonly trace: Uint8Array<ArrayBuffer>;
  } | null;
}

/** Explores every interleaving. @param query an address's, of which the names of the command's options count. */
export function verifyRaces(query: Readonly<Record<string, string>>, tell: Tell): RaceVerdict {
  const question = readQuestion(askedIn(query));
  const { protocol, size, without } = question;
  const explored = question.plays.map((play, nth) =>
    explorePlay(question, play, nth, (count) => tell(tellCount(count))),
  );
  const plays = explored.map(({ result }) => result);
  const verdict: Verdict = { vendor: protocol.vendor, size, without, workers: 1, plays };
  const found = explored.find(({ counterexample }) => counterexample !== null);
  return {
    document: { schema: "intremap/verify/1", ...verdict, ...totalsOf(plays), plays },
    shown: found === undefined ? null : shown(found),
  };

  function shown({ result, counterexample }: Explored): RaceVerdict["shown"] {
    const world = protocol.world(result.name, size, without ?? undefined);
    return {
      play: result,
      sequence: sequenceOf(world, counterexample!),
      trace: traceOf(counterexample!),
    };
  }
}

function traceOf(counterexample: NonNullable<Explored["counterexample"]>): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  writeCounterexample(counterexample, (bytes) => parts.push(bytes.slice()));
  return joined(parts);
}
