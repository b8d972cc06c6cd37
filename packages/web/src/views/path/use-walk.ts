import type { RunResult, WalkStep } from "@intremap/core";
import type { Engine } from "../../engine/engine.ts";
import type { OpenedRun } from "../../engine/tasks/open-walk.ts";
import type { TaskInput } from "../../engine/tasks.ts";
import { type Task, useAnswer } from "../../engine/use-task.ts";
import { many } from "../../parts/words.ts";
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

/** Runs what is asked in an engine that does nothing else, and takes its steps slice by slice: the page goes on meanwhile. */
export function useWalk(engine: Engine, input: TaskInput<"openWalk"> | null, key: string): Task<Walked> {
  const walk = async (
    asked: TaskInput<"openWalk">,
    tell: (progress: string) => void,
    isWanted: () => boolean,
  ): Promise<Walked> => {
    const stepsOf = async (side: 0 | 1, { count }: OpenedRun): Promise<WalkStep[]> => {
      const steps: WalkStep[] = [];
      while (isWanted() && steps.length < count) {
        tell(`${steps.length.toLocaleString("en")} of ${many(count, "step")}`);
        steps.push(...(await engine.ask("walkSlice", { side, from: steps.length })));
      }
      return steps;
    };
    const { left, right, pairs } = await engine.ask("openWalk", asked, tell);
    const runs: WalkedRun[] = [{ ...left, steps: await stepsOf(0, left) }];
    if (right !== null) runs.push({ ...right, steps: await stepsOf(1, right) });
    const rows: WalkRow[] = [];
    for (let i = 0; i < pairs.length; i += 2) rows.push([stepOr(pairs[i]!), stepOr(pairs[i + 1]!)]);
    return { input: asked, runs, pairs: rows };
  };
  const ask = input === null ? null : walk.bind(null, input);
  return useAnswer(engine, ask, key, "ends");
}
