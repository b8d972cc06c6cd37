import { interrupt } from "../irq/entry.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { LocalCpu } from "../local-cpu.ts";
import { done } from "../posting/step.ts";
import { threadStep } from "../posting/thread-steps.ts";
import type { ExitReason } from "./counts.ts";
import { countEntry, countExit } from "./exits.ts";
import { routineOf, syncs, threadRuns } from "./thread.ts";
import type { Vcpu } from "./vcpu.ts";

const symbol = "vcpu_enter_guest";

/** The thread enters the guest, unless something came up. @returns `done` in the guest, or the step that follows. */
export const vcpuEnterGuest = kernelFunction(symbol, (k: Kernel, vcpu: Vcpu, from: number): number => {
  let next = from;
  do {
    next = threadRuns(k, vcpu, next);
    if (next !== done && routineOf(k, next) !== symbol && next !== threadStep.choose) {
      next = syncs(k, vcpu);
    }
  } while (next !== done && next !== threadStep.choose);
  if (next === done) {
    vcpu.processor!.enter();
    countEntry(k, vcpu);
  }
  return next;
});

function leaveGuest(k: Kernel, vcpu: Vcpu, reason: ExitReason): void {
  countExit(k, vcpu, reason);
  vcpu.processor!.exit();
  threadRuns(k, vcpu, threadStep["exit-leave-guest"]);
}

/** The guest exits, and what it exits for is seen to. */
export const vcpuExits = kernelFunction(
  symbol,
  (k: Kernel, vcpu: Vcpu, reason: ExitReason, handle: ((k: Kernel, vcpu: Vcpu) => void) | null): void => {
    leaveGuest(k, vcpu, reason);
    handle?.(k, vcpu);
  },
);

/** The guest exits for an interrupt of the host, which is acknowledged already. */
export const vcpuExitsForInterrupt = kernelFunction(
  symbol,
  (k: Kernel, vcpu: Vcpu, cpu: LocalCpu, vector: number): void => {
    leaveGuest(k, vcpu, "externalInterrupt");
    const { ops } = vcpu.vm;
    if (ops.handleExternalInterrupt === undefined) interrupt(k, cpu, vector);
    else ops.handleExternalInterrupt(k, cpu, vector);
    // With interrupts on again, the host takes what else has come.
    for (let more = cpu.localApic.acknowledge(); more >= 0; more = cpu.localApic.acknowledge()) {
      interrupt(k, cpu, more);
    }
  },
);
