import { vectors } from "../irq/vectors.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { threadStep } from "../posting/thread-steps.ts";
import { senderFrame } from "./thread.ts";
import type { Vcpu } from "./vcpu.ts";

/** The routine of whoever wakes goes on. @param frame its registers. @returns its next step. */
export const wakeUpFrom = kernelFunction("kvm_vcpu_wake_up", (k: Kernel, frame: number): number => {
  const { state, table } = k.kvm!.protocol;
  return table.run(state, frame, threadStep["wake-vcpu"]);
});

/** Wakes the thread of a vCPU if it waits to be woken. @returns whether it did. */
export function vcpuWakeUp(k: Kernel, vcpu: Vcpu): boolean {
  const { blocking } = vcpu;
  wakeUpFrom(k, senderFrame(k, vcpu.slot));
  return blocking;
}

/** Something has changed that the vCPU's thread has to see: wakes it, or makes its guest exit. */
export const kvmVcpuKick = kernelFunction("kvm_vcpu_kick", (k: Kernel, vcpu: Vcpu): void => {
  if (vcpuWakeUp(k, vcpu) || vcpu.mode !== "inGuest") return;
  vcpu.mode = "exiting";
  const { cpu } = vcpu;
  if (cpu !== null && cpu !== k.cpu) k.cpu.apic.sendIpi(cpu.apicId, vectors.RESCHEDULE);
});
