import {
  type Counterexample,
  InputError,
  type PlayResult,
  type PlayTitle,
  Search,
  type VerifyQuestion,
  playResult,
} from "@intremap/core";
import type { RaceCount } from "./count.ts";

/** What a search may take of this page's memory; the command takes more. */
export const mostBytes = 2 ** 30;

/** Milliseconds after which a walker comes back, so that something can be shown. */
const slice = 100;

function now(): number {
  return performance.now();
}

export interface Explored {
  readonly result: PlayResult;
  readonly counterexample: Counterexample | null;
}

/**
 * Explores one play, alone: browsers give threads no memory to share on a page from a file.
 * @param nth which of the plays it is, from 0.
 */
export function explorePlay(
  { protocol, size, without, plays }: VerifyQuestion,
  play: PlayTitle,
  nth: number,
  show: (count: RaceCount) => void,
): Explored {
  const begin = now();
  const search = startSearch(() => protocol.world(play.name, size, without ?? undefined));
  const times = { exploring: 0, rounds: 0 };
  const count = (): RaceCount => ({
    play: play.name,
    nth: nth + 1,
    plays: plays.length,
    states: search.states,
    depth: search.depth,
    statesPerSecond: Math.round((1000 * search.states) / Math.max(times.exploring, 1)),
    bytes: search.bytes,
    peeled: search.peeled,
  });
  const tasks = search.run();
  for (let task = tasks.next(); ;) {
    if (task.done === true) {
      const result = playResult(play, task.value, { ...times, all: now() - begin });
      return { result, counterexample: task.value.counterexample };
    }
    const from = now();
    const report = search.walker.walk(task.value, from + slice, now);
    times[task.value.kind === "expand" ? "exploring" : "rounds"] += now() - from;
    show(count());
    task = tasks.next([report]);
  }
}

/** @throws InputError for a size that a world does not have. */
function startSearch(world: () => ConstructorParameters<typeof Search>[0]): Search {
  try {
    return new Search(world(), { mostBytes });
  } catch (error) {
    throw error instanceof RangeError ? new InputError(error.message) : error;
  }
}
