import type { RunResult, WalkStep } from "@intremap/core";
import { useEffect, useState } from "preact/hooks";
import type { Engine } from "../../engine/engine.ts";
import type { OpenedRun } from "../../engine/tasks/open-walk.ts";
import type { TaskInput } from "../../engine/tasks.ts";
import type { Task } from "../../engine/use-task.ts";
import type { WalkRow } from "./telling.ts";

export interface WalkedRun {
  readonly result: RunResult;
  readonly steps: readonly WalkStep[];
  readonly leftOut: number;
}

export interface Walked {
  /** What was asked: the address may say something else by now. */
  readonly input: TaskInput<"openWalk">;
  readonly runs: readonly WalkedRun[];
  readonly pairs: readonly WalkRow[];
}

function stepOr(index: number): number | null {
  return index < 0 ? null : index;
}

/**
 * Runs what is asked in the engine, and takes its steps slice by slice: the page goes on meanwhile. What is not wanted any
 * more is ended.
 */
export function useWalk(engine: Engine, input: TaskInput<"openWalk"> | null, key: string): Task<Walked> {
  const [state, setState] = useState<Task<Walked>>({ state: "none" });
  useEffect(() => {
    if (input === null) {
      setState({ state: "none" });
      return undefined;
    }
    const question = { current: true, running: true };
    const show = (next: Task<Walked>): void => {
      if (question.current) setState(next);
    };
    const tell = (progress: string): void => {
      show({ state: "running", progress, stop: () => engine.stop() });
    };
    const stepsOf = async (side: 0 | 1, { count }: OpenedRun): Promise<WalkStep[]> => {
      const steps: WalkStep[] = [];
      while (question.current && steps.length < count) {
        tell(`${steps.length.toLocaleString("en")} of ${count.toLocaleString("en")} steps`);
        const slice = await engine.ask("walkSlice", { side, from: steps.length });
        steps.push(...slice);
      }
      return steps;
    };
    const walk = async (): Promise<Walked> => {
      tell("");
      const { left, right, pairs } = await engine.ask("openWalk", input, tell);
      const runs: WalkedRun[] = [];
      for (const [side, run] of [left, right].entries()) {
        if (run !== null) runs.push({ ...run, steps: await stepsOf(side as 0 | 1, run) });
      }
      const rows: WalkRow[] = [];
      for (let i = 0; i < pairs.length; i += 2) rows.push([stepOr(pairs[i]!), stepOr(pairs[i + 1]!)]);
      return { input, runs, pairs: rows };
    };
    void walk()
      .then(
        (result) => show({ state: "done", result }),
        (error: Error) => show({ state: "failed", message: error.message }),
      )
      .finally(() => (question.running = false));
    return () => {
      question.current = false;
      if (question.running) engine.stop();
    };
  }, [engine, key]);
  return state;
}
