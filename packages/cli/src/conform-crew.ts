import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { type ConformResult, InputError, type Share, mergeResults } from "@intremap/core";
import { type ConformTask, type TaskProgress, runShare } from "./conform-task.ts";
import { startThread } from "./thread.ts";

/** What a thread is given when it starts. */
export interface Joining {
  readonly tasks: readonly ConformTask[];
  readonly share: Share;
}

/** What a thread tells; tasks go by their numbers. */
export type Report =
  | { readonly kind: "progress"; readonly task: number; readonly progress: TaskProgress }
  | { readonly kind: "result"; readonly task: number; readonly result: ConformResult }
  | { readonly kind: "failure"; readonly message: string; readonly expected: boolean };

/** Told how far the tasks that have been started have come. */
export type OnProgress = (tasks: readonly TaskProgress[]) => void;

/** Cases are short-lived: with so much room for them, few are met by the collection of garbage. */
const youngMegabytes = 64;
/** Milliseconds for a thread to end its QEMUs. */
const patience = 1000;

/**
 * Runs tasks, each with all workers: a worker has a QEMU of its own, and goes on to its share of the next task when it is
 * done with that of one.
 * @param workers 1 for no thread but this one.
 * @returns the result of each task.
 * @throws InputError when the QEMU of any worker cannot be driven; all have ended then.
 */
export async function runTasks(
  tasks: readonly ConformTask[],
  workers: number,
  onProgress: OnProgress,
): Promise<ConformResult[]> {
  const states = new Map<number, Map<number, TaskProgress>>();
  const show = (task: number, worker: number, progress: TaskProgress): void => {
    const shares = states.get(task) ?? new Map<number, TaskProgress>();
    states.set(task, shares.set(worker, progress));
    onProgress(Array.from(states.values(), (all) => [...all.values()].reduce(together)));
  };
  if (workers > 1) return new Crew(tasks, workers, show).run();
  const results: ConformResult[] = [];
  for (const [number, task] of tasks.entries())
    results.push(await runShare(task, { number: 0, of: 1 }, (progress) => show(number, 0, progress)));
  return results;
}

function together(a: TaskProgress, b: TaskProgress): TaskProgress {
  return {
    target: a.target,
    vendor: a.vendor,
    done: a.done + b.done,
    total: a.total + b.total,
    agreed: a.agreed + b.agreed,
    deviating: a.deviating + b.deviating,
    disagreed: a.disagreed + b.disagreed,
  };
}

class Crew {
  readonly #tasks: readonly ConformTask[];
  readonly #threads: readonly Worker[];
  readonly #show: (task: number, worker: number, progress: TaskProgress) => void;

  constructor(
    tasks: readonly ConformTask[],
    workers: number,
    show: (task: number, worker: number, progress: TaskProgress) => void,
  ) {
    this.#tasks = tasks;
    this.#show = show;
    this.#threads = Array.from({ length: workers }, (_, number) => {
      const joining: Joining = { tasks, share: { number, of: workers } };
      return startThread("conform-worker", joining, { maxYoungGenerationSizeMb: youngMegabytes });
    });
  }

  async run(): Promise<ConformResult[]> {
    try {
      const shares = await Promise.all(
        this.#threads.map((thread, number) => this.#resultsOf(thread, number)),
      );
      return this.#tasks.map((_, task) => mergeResults(shares.map((results) => results[task]!)));
    } finally {
      await Promise.all(this.#threads.map(end));
    }
  }

  /** What a thread makes of its share of each task. */
  #resultsOf(thread: Worker, number: number): Promise<ConformResult[]> {
    const results: ConformResult[] = [];
    return new Promise((resolve, reject) => {
      thread.on("message", (report: Report) => {
        if (report.kind === "progress") this.#show(report.task, number, report.progress);
        else if (report.kind === "result") results[report.task] = report.result;
        else reject(report.expected ? new InputError(report.message) : new Error(report.message));
      });
      thread.once("error", reject);
      thread.once("exit", () => {
        if (results.length === this.#tasks.length) resolve(results);
        else reject(new Error("a thread has ended before its work"));
      });
    });
  }
}

/** Ends a thread, and before it the QEMUs that it has started. */
async function end(thread: Worker): Promise<void> {
  if (thread.threadId < 0) return;
  thread.postMessage("end", []);
  await Promise.race([once(thread, "exit"), setTimeout(patience)]);
  await thread.terminate();
}
