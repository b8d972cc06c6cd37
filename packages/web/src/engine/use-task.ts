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

/**
 * Asks the engine, and again whenever `key` changes; what ran until then is stopped if `engine` does nothing else.
 * @param input null: nothing is asked.
 * @param key tells one input from another.
 */
export function useTask<Name extends TaskName>(
  engine: Engine,
  task: Name,
  input: TaskInput<Name> | null,
  key: string,
): Task<TaskResult<Name>> {
  const [state, setState] = useState<Task<TaskResult<Name>>>({ state: "none" });
  useEffect(() => {
    if (input === null) {
      setState({ state: "none" });
      return undefined;
    }
    let current = true;
    const show = (next: Task<TaskResult<Name>>): void => {
      if (current) setState(next);
    };
    const stop = (): void => engine.stop();
    show({ state: "running", progress: "", stop });
    engine
      .ask(task, input, (progress) => show({ state: "running", progress, stop }))
      .then(
        (result) => show({ state: "done", result }),
        (error: Error) => show({ state: "failed", message: error.message }),
      );
    return () => {
      current = false;
    };
  }, [engine, task, key]);
  return state;
}
