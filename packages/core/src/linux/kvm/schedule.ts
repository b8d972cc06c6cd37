import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { done } from "../posting/step.ts";
import { threadStep } from "../posting/thread-steps.ts";
import { FrameWord } from "../posting/words.ts";
import { setThreadRegister, threadRegister, threadRuns } from "./thread.ts";
import type { Vcpu } from "./vcpu.ts";

const kvmArchVcpuLoad = kernelFunction("kvm_arch_vcpu_load", (k: Kernel, vcpu: Vcpu): void => {
  const cpu = k.cpus[threadRegister(k, vcpu, FrameWord.cpu)]!;
  vcpu.vm.ops.vcpuLoad(k, vcpu, cpu);
});

const kvmArchVcpuPut = kernelFunction("kvm_arch_vcpu_put", (k: Kernel, vcpu: Vcpu): void => {
  vcpu.vm.ops.vcpuPut(k, vcpu);
});

/** @returns the step with which the thread goes on where it lost its CPU. */
function finishLoad(k: Kernel, vcpu: Vcpu): number {
  const next = threadRuns(k, vcpu, threadStep["schedule-loaded"]);
  vcpu.cpu = k.cpus[threadRegister(k, vcpu, FrameWord.cpu)]!;
  return next;
}

const kvmSchedOut = kernelFunction("kvm_sched_out", (k: Kernel, vcpu: Vcpu, from: number): void => {
  threadRuns(k, vcpu, from);
  kvmArchVcpuPut(k, vcpu);
  threadRuns(k, vcpu, threadStep["schedule-off"]);
});

const kvmSchedIn = kernelFunction("kvm_sched_in", (k: Kernel, vcpu: Vcpu): number => {
  threadRuns(k, vcpu, threadStep["schedule-in"]);
  kvmArchVcpuLoad(k, vcpu);
  return finishLoad(k, vcpu);
});

const finishTaskSwitch = kernelFunction("finish_task_switch", kvmSchedIn);

const scheduleInner = kernelFunction("__schedule", (k: Kernel, vcpu: Vcpu, from: number): number => {
  if (from === threadStep["schedule-in"]) return finishTaskSwitch(k, vcpu);
  kvmSchedOut(k, vcpu, from);
  return done;
});

const schedule = kernelFunction("schedule", scheduleInner);

/** The thread of a vCPU leaves its CPU; it goes on with {@link scheduleIn}. @param from of its own will, or not. */
export function scheduleOut(k: Kernel, vcpu: Vcpu, from: "schedule-out" | "preempt"): void {
  schedule(k, vcpu, threadStep[from]);
}

/** The thread has a CPU again, the executing one. @returns the step with which it goes on. */
export function scheduleIn(k: Kernel, vcpu: Vcpu): number {
  setThreadRegister(k, vcpu, FrameWord.cpu, k.cpu.number);
  return schedule(k, vcpu, threadStep["schedule-in"]);
}

/** KVM_RUN begins. */
export const vcpuLoad = kernelFunction("vcpu_load", (k: Kernel, vcpu: Vcpu): void => {
  setThreadRegister(k, vcpu, FrameWord.cpu, k.cpu.number);
  setThreadRegister(k, vcpu, FrameWord.resume, threadStep.choose);
  threadRuns(k, vcpu, threadStep["schedule-in"]);
  kvmArchVcpuLoad(k, vcpu);
  finishLoad(k, vcpu);
});

/** KVM_RUN ends. */
export const vcpuPut = kernelFunction("vcpu_put", (k: Kernel, vcpu: Vcpu): void => {
  kvmArchVcpuPut(k, vcpu);
  threadRuns(k, vcpu, threadStep["schedule-off"]);
});
