import { setImmediate } from "node:timers/promises";
import {
  type ConformProgress,
  type ConformResult,
  type CorpusFile,
  type Share,
  type Vendor,
  conform,
} from "@intremap/core";
import { QemuTarget } from "./qemu/target.ts";

/** What is run on the QEMU of one vendor. */
export interface ConformTask {
  readonly vendor: Vendor;
  /** Path of the program. */
  readonly qemu: string;
  readonly cases: number;
  readonly seed: number;
  readonly corpus: readonly CorpusFile[];
}

/** How far a task, or a share of it, has come. */
export interface TaskProgress extends ConformProgress {
  /** As QEMU names itself. */
  readonly target: string;
  readonly vendor: Vendor;
}

/**
 * Runs a share of a task on a QEMU of its own.
 * @throws InputError when there is no QEMU that can be driven, or it dies, hangs, or answers what is no answer.
 */
export async function runShare(
  { vendor, qemu, cases, seed, corpus }: ConformTask,
  share: Share,
  onProgress: (progress: TaskProgress) => void,
): Promise<ConformResult> {
  const target = await QemuTarget.start(qemu, vendor);
  try {
    return await conform({
      target,
      cases,
      seed,
      corpus,
      share,
      requesters: target.requesters,
      pause: () => setImmediate(),
      onProgress: (progress) => onProgress({ ...progress, target: target.name, vendor }),
    });
  } finally {
    target.stop();
  }
}
