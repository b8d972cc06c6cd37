import { useEffect, useRef, useState } from "preact/hooks";
import { Engine } from "./engine.ts";
import type { TaskInput, TaskName, TaskResult } from "./tasks.ts";

/** Where a question to the engine stands. */
export type Task<Result> =
  | { readonly state: "none" }
  | { readonly state: "running"; readonly progress: string; readonly stop: () => void }
  | { readonly state: "failed"; readonly message: string }
  | { readonly state: "done"; readonly result: Result };

/** An engine for as long as the component is there. */
export function useEngine(): Engine {
  const engine = useRef<Engine>(null);
  engine.current ??= new Engine();
  useEffect(() => () => engine.current?.stop(), []);
  return engine.current;
}

/** What becomes of a question whose answer is not wanted any more; `ends` is for an engine that does nothing else. */
type Unwanted = "finishes" | "ends";

/**
 * Asks the engine, and again whenever `key` changes: what was found for another key is not given for this one.
 * @param input null: nothing is asked.
 * @param key tells one input from another.
 * @param reading asks the same once more when it changes: what was found before stays until there is an answer.
 */
export function useTask<Name extends TaskName>(
  engine: Engine,
  task: Name,
  input: TaskInput<Name> | null,
  key: string,
  unwanted: Unwanted = "finishes",
  reading = 0,
): Task<TaskResult<Name>> {
  const ask = input === null ? null : (tell: (progress: string) => void) => engine.ask(task, input, tell);
  return useAnswer(engine, ask, key, unwanted, reading);
}

interface Found<Result> {
  readonly key: string;
  readonly task: Task<Result>;
}

/** Whether there is an answer to this question, if an older one. */
function ended(found: Found<unknown> | undefined, key: string): boolean {
  return found?.key === key && found.task.state !== "running";
}

/**
 * The same with more than one question to the engine.
 * @param ask takes how far it is, and is told whether somebody still waits.
 */
export function useAnswer<Result>(
  engine: Engine,
  ask: ((tell: (progress: string) => void, isWanted: () => boolean) => Promise<Result>) | null,
  key: string,
  unwanted: Unwanted,
  reading = 0,
): Task<Result> {
  const stop = (): void => engine.stop();
  const [found, setFound] = useState<Found<Result>>();
  const asked = ask !== null;
  useEffect(() => {
    if (ask === null) return undefined;
    let wanted = true;
    let running = true;
    const show = (task: Task<Result>): void => {
      if (!wanted) return;
      setFound((before) => (task.state === "running" && ended(before, key) ? before : { key, task }));
    };
    ask(
      (progress) => show({ state: "running", progress, stop }),
      () => wanted,
    )
      .then(
        (result) => show({ state: "done", result }),
        (error: Error) => show({ state: "failed", message: error.message }),
      )
      .finally(() => (running = false));
    // All clean-ups come before all effects: what is asked next is not ended.
    return () => {
      wanted = false;
      if (running && unwanted === "ends") engine.stop();
    };
  }, [engine, asked, key, reading]);
  if (!asked) return { state: "none" };
  return found?.key === key ? found.task : { state: "running", progress: "", stop };
}
