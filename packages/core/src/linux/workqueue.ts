import { Thread } from "../hardware/call-stack.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";

type Work = (k: Kernel) => void;

const processOneWork = kernelFunction("process_one_work", (k: Kernel, work: Work): void => work(k));

const workerThread = kernelFunction("worker_thread", (k: Kernel, work: Work): void =>
  processOneWork(k, work),
);

const kthread = kernelFunction("kthread", (k: Kernel, work: Work): void => workerThread(k, work));

const retFromFork = kernelFunction("ret_from_fork", (k: Kernel, work: Work): void => kthread(k, work));

const retFromForkAsm = kernelFunction(
  "ret_from_fork_asm",
  (k: Kernel, work: Work): void => retFromFork(k, work),
  // The entry of a new thread was all assembly until 6.6.
  { inlined: { below: "6.6" } },
);

/** `queue_work`, and the worker that takes it up. No worker of the model is ever busy: it does so at once. */
export function queueWork(k: Kernel, worker: string, work: Work): void {
  k.calls.run(new Thread(worker), () => retFromForkAsm(k, work));
}
