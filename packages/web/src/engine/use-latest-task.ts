import { useEffect, useRef } from "preact/hooks";
import type { Engine } from "./engine.ts";
import type { TaskInput, TaskName, TaskResult } from "./tasks.ts";
import { type Task, useTask } from "./use-task.ts";

/** As {@link useTask}, of an engine that does nothing else: what is not wanted any more is ended. */
export function useLatestTask<Name extends TaskName>(
  engine: Engine,
  task: Name,
  input: TaskInput<Name> | null,
  key: string,
): Task<TaskResult<Name>> {
  const running = useRef(false);
  // Before the next question is asked: all clean-ups come before all effects.
  useEffect(
    () => () => {
      if (running.current) engine.stop();
    },
    [engine, key],
  );
  const state = useTask(engine, task, input, key);
  running.current = state.state === "running";
  return state;
}
