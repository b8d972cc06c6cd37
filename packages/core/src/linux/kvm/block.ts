import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { done } from "../posting/step.ts";
import { threadStep } from "../posting/thread-steps.ts";
import { FrameWord } from "../posting/words.ts";
import { scheduleIn, scheduleOut } from "./schedule.ts";
import { routineOf, syncs, threadRegister, threadRuns } from "./thread.ts";
import type { Vcpu } from "./vcpu.ts";

const apicHasInterrupt = kernelFunction("kvm_apic_has_interrupt", syncs);

const cpuHasInterrupt = kernelFunction("kvm_cpu_has_interrupt", apicHasInterrupt);

const vcpuHasEvents = kernelFunction("kvm_vcpu_has_events", cpuHasInterrupt);

const archVcpuRunnable = kernelFunction("kvm_arch_vcpu_runnable", vcpuHasEvents);

/** @returns the step that follows: out of the wait, or off the CPU. */
const checkBlock = kernelFunction("kvm_vcpu_check_block", (k: Kernel, vcpu: Vcpu): number => {
  threadRuns(k, vcpu, threadStep["block-check"]);
  return threadRuns(k, vcpu, archVcpuRunnable(k, vcpu));
});

/** @returns `done` if the thread sleeps; otherwise the step with which it goes on. */
const kvmVcpuBlock = kernelFunction("kvm_vcpu_block", (k: Kernel, vcpu: Vcpu, from: number): number => {
  const { ops } = vcpu.vm;
  let next = from;
  for (;;) {
    switch (next) {
      case threadStep["schedule-out"]:
        scheduleOut(k, vcpu, "schedule-out");
        return done;
      case threadStep["schedule-in"]:
        next = scheduleIn(k, vcpu);
        break;
      case threadStep["block-check"]:
        next = checkBlock(k, vcpu);
        break;
      case threadStep["block-finish"]:
        // What the vendor's steps would go on with, its function does.
        threadRuns(k, vcpu, next);
        ops.vcpuUnblocking?.(k, vcpu);
        return threadStep.choose;
      default:
        if (next === threadStep["block-prepare"]) ops.vcpuBlocking?.(k, vcpu);
        next = threadRuns(k, vcpu, next);
    }
    if (next === threadStep.choose) return next;
  }
});

const kvmVcpuHalt = kernelFunction("kvm_vcpu_halt", kvmVcpuBlock);

const vcpuBlock = kernelFunction("vcpu_block", (k: Kernel, vcpu: Vcpu, from: number): number =>
  k.runs({ from: "5.17" }) ? kvmVcpuHalt(k, vcpu, from) : kvmVcpuBlock(k, vcpu, from),
);

/** A halted vCPU waits for an interrupt, or goes on to. @returns `done` if its thread sleeps, or the step that follows. */
export function blocks(k: Kernel, vcpu: Vcpu, from: number): number {
  return vcpuBlock(k, vcpu, from);
}

/** Whether a thread that got its CPU back had lost it in `kvm_vcpu_block`. */
export function wasBlocking(k: Kernel, vcpu: Vcpu): boolean {
  const resume = threadRegister(k, vcpu, FrameWord.resume);
  return resume !== threadStep.choose && routineOf(k, resume) === "kvm_vcpu_block";
}
