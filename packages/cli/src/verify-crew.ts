import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import type { Exploration, Protocol, Search, Shares, Size, WalkReport, WalkTask } from "@intremap/core";
import { startThread } from "./thread.ts";

/** What is explored: every thread makes the world of it anew. */
export interface Question {
  readonly vendor: Protocol["vendor"];
  readonly play: string;
  readonly size: Size;
  readonly without: string | undefined;
}

/** What a thread is given when it starts. */
export interface Joining {
  readonly question: Question;
  readonly shares: Shares;
  readonly thread: number;
}

/** How long a search took, in milliseconds: to see all states, and to look for rounds among them. */
export interface Times {
  exploring: number;
  rounds: number;
}

/** Milliseconds after which whoever works comes back, so that something can be shown. */
export const sliceTime = 100;

/** Units of states below which waking threads takes longer than the work; states below which starting them does. */
const fewUnits = 64;
const fewStates = 250_000;

/**
 * Drives a search to its end, with several threads once there is work for them.
 * @param shown is called now and then.
 * @param alone states that are known before threads are started.
 */
export async function drive(
  search: Search,
  question: Question,
  workers: number,
  times: Times,
  shown: () => void,
  alone: number = fewStates,
): Promise<Exploration> {
  const crew = new Crew(search, question, workers, alone);
  try {
    const tasks = search.run();
    for (let task = tasks.next(); ;) {
      if (task.done === true) return task.value;
      const begin = performance.now();
      const reports = await crew.perform(task.value);
      times[task.value.kind === "expand" ? "exploring" : "rounds"] += performance.now() - begin;
      shown();
      task = tasks.next(reports);
    }
  } finally {
    await crew.end();
  }
}

function now(): number {
  return performance.now();
}

class Crew {
  readonly #search: Search;
  readonly #question: Question;
  readonly #size: number;
  readonly #alone: number;
  #workers: Worker[] = [];
  #lastRest = performance.now();

  constructor(search: Search, question: Question, size: number, alone: number) {
    this.#search = search;
    this.#alone = alone;
    this.#question = question;
    this.#size = size;
  }

  async perform(task: WalkTask): Promise<WalkReport[]> {
    const units = task.kind === "expand" ? task.units.length / 2 : task.states.length;
    if (this.#size > 1 && units >= fewUnits && this.#search.states >= this.#alone)
      return this.#together(task);
    const report = this.#search.walker.walk(task, now() + sliceTime, now);
    if (now() - this.#lastRest > sliceTime / 2) {
      // Signals are heard.
      await setImmediate();
      this.#lastRest = now();
    }
    return [report];
  }

  #together(task: WalkTask): Promise<WalkReport[]> {
    if (this.#workers.length === 0) this.#start();
    return Promise.all(
      this.#workers.map(async (worker, i) => {
        const own = task.kind === "expand" ? task : { ...task, states: share(task.states, i, this.#size) };
        worker.postMessage(own, []);
        const [report] = (await once(worker, "message")) as [WalkReport];
        return report;
      }),
    );
  }

  #start(): void {
    const { shares } = this.#search;
    this.#workers = Array.from({ length: this.#size }, (_, i) => {
      const joining: Joining = { question: this.#question, shares, thread: i + 1 };
      return startThread("verify-worker", joining);
    });
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    this.#workers = [];
  }
}

/** One of several equal pieces. */
function share(states: Int32Array, piece: number, pieces: number): Int32Array {
  const at = (i: number): number => Math.floor((states.length * i) / pieces);
  return states.slice(at(piece), at(piece + 1));
}
