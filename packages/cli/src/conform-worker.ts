import { parentPort, workerData } from "node:worker_threads";
import { InputError } from "@intremap/core";
import type { Joining, Report } from "./conform-crew.ts";
import { runShare } from "./conform-task.ts";

// A thread of a comparison: runs its share of each task, one task after another, on QEMUs of its own.

const { tasks, share } = workerData as Joining;
const report = (one: Report): void => parentPort!.postMessage(one, []);

// Whatever it is told, it is to end; its QEMUs are killed when it does.
parentPort!.on("message", () => process.exit());
try {
  for (const [task, one] of tasks.entries()) {
    const result = await runShare(one, share, (progress) => report({ kind: "progress", task, progress }));
    report({ kind: "result", task, result });
  }
} catch (error) {
  const { message } = error as Error;
  report({ kind: "failure", message, expected: error instanceof InputError });
}
parentPort!.close();
