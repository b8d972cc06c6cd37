import { parentPort, workerData } from "node:worker_threads";
import { InputError } from "@intremap/core";
import type { Joining, Report } from "./conform-crew.ts";
import { runShare } from "./conform-task.ts";

// A thread of a comparison: runs its share of a task on QEMUs of its own.

const { task, share } = workerData as Joining;
const report = (one: Report): void => parentPort!.postMessage(one, []);

// Whatever it is told, it is to end; its QEMUs are killed when it does.
parentPort!.on("message", () => process.exit());
try {
  const result = await runShare(task, share, (progress) => report({ kind: "progress", progress }));
  report({ kind: "result", result });
} catch (error) {
  const { message } = error as Error;
  report({ kind: "failure", message, expected: error instanceof InputError });
}
parentPort!.close();
