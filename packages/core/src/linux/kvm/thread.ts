import type { Kernel } from "../kernel.ts";
import { done } from "../posting/step.ts";
import { FrameWord } from "../posting/words.ts";
import type { Vcpu } from "./vcpu.ts";
import type { KvmVm } from "./vm.ts";

/** The thread of a vCPU does its steps until its routine ends, or goes on in another. @returns the step it goes on with. */
export function threadRuns(k: Kernel, vcpu: Vcpu, from: number): number {
  const { state, table } = k.kvm!.protocol;
  return table.run(state, state.threadAt(vcpu.slot), from);
}

/** A register of a vCPU's thread. */
export function threadRegister(k: Kernel, vcpu: Vcpu, word: number): number {
  const { state } = k.kvm!;
  return state.get(state.threadAt(vcpu.slot) + word);
}

export function setThreadRegister(k: Kernel, vcpu: Vcpu, word: number, value: number): void {
  const { state } = k.kvm!;
  state.set(state.threadAt(vcpu.slot) + word, value);
}

/** The routine that a step belongs to, by its symbol. */
export function routineOf(k: Kernel, step: number): string {
  return k.kvm!.protocol.table.steps[step]!.routine;
}

/** The frame of whatever else runs on the CPU, made ready for a routine about a vCPU. */
export function senderFrame(k: Kernel, slot: number): number {
  const { state } = k.kvm!;
  const frame = state.otherAt(k.cpu.number);
  state.set(frame + FrameWord.vcpu, slot);
  state.set(frame + FrameWord.back, done);
  return frame;
}

/** The same, made ready for a routine about a VM. */
export function vmFrame(k: Kernel, vm: KvmVm): number {
  const { state } = vm.protocol;
  const frame = state.otherAt(k.cpu.number);
  state.set(frame + FrameWord.vm, vm.index);
  return frame;
}

/** The thread brings what was posted to IRR. @returns the step with which it goes on. */
export function syncs(k: Kernel, vcpu: Vcpu): number {
  const { state } = k.kvm!;
  const next = state.take(state.threadAt(vcpu.slot) + FrameWord.back);
  vcpu.vm.ops.syncPirToIrr(k, vcpu);
  return next;
}
