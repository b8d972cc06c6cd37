import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { type ConformResult, InputError, type Share, mergeResults } from "@intremap/core";
import { type ConformTask, type TaskProgress, runShare } from "./conform-task.ts";
import { startThread } from "./thread.ts";

/** What a thread is given when it starts. */
export interface Joining {
  readonly task: ConformTask;
  readonly share: Share;
}

/** What a thread tells. */
export type Report =
  | { readonly kind: "progress"; readonly progress: TaskProgress }
  | { readonly kind: "result"; readonly result: ConformResult }
  | { readonly kind: "failure"; readonly message: string; readonly expected: boolean };

/** Told how far the tasks that have been started have come. */
export type OnProgress = (tasks: readonly TaskProgress[]) => void;

/** Cases are short-lived: with so much room for them, few are met by the collection of garbage. */
const youngMegabytes = 64;
/** Milliseconds for a thread to end its QEMUs. */
const patience = 1000;

/**
 * Runs tasks. Several workers run them at once, each with a QEMU of its own on a share of one task: a vendor's cases are
 * run by as few as can be, since every one of them has to get warm.
 * @param workers 1 for no thread but this one, and one task after another.
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

interface Member {
  readonly thread: Worker;
  readonly task: number;
  readonly share: Share;
}

class Crew {
  readonly #tasks: readonly ConformTask[];
  readonly #members: readonly Member[];
  readonly #show: (task: number, worker: number, progress: TaskProgress) => void;

  constructor(
    tasks: readonly ConformTask[],
    workers: number,
    show: (task: number, worker: number, progress: TaskProgress) => void,
  ) {
    this.#tasks = tasks;
    this.#show = show;
    this.#members = tasks.flatMap((task, number) => {
      const of = Math.max(1, Math.floor((workers + number) / tasks.length));
      return Array.from({ length: of }, (_, i) => {
        const joining: Joining = { task, share: { number: i, of } };
        const thread = startThread("conform-worker", joining, { maxYoungGenerationSizeMb: youngMegabytes });
        return { thread, task: number, share: joining.share };
      });
    });
  }

  async run(): Promise<ConformResult[]> {
    try {
      const results = await Promise.all(this.#members.map((member) => this.#resultOf(member)));
      return this.#tasks.map((_, task) =>
        mergeResults(results.filter((_result, i) => this.#members[i]!.task === task)),
      );
    } finally {
      await Promise.all(this.#members.map(({ thread }) => end(thread)));
    }
  }

  #resultOf({ thread, task, share }: Member): Promise<ConformResult> {
    let result: ConformResult | undefined;
    return new Promise((resolve, reject) => {
      thread.on("message", (report: Report) => {
        if (report.kind === "progress") this.#show(task, share.number, report.progress);
        else if (report.kind === "result") result = report.result;
        else reject(report.expected ? new InputError(report.message) : new Error(report.message));
      });
      thread.once("error", reject);
      thread.once("exit", () => {
        if (result === undefined) reject(new Error("a thread has ended before its work"));
        else resolve(result);
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
