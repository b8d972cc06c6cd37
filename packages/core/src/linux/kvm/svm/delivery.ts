import { kernelFunction } from "../../kernel-function.ts";
import type { Kernel } from "../../kernel.ts";
import { avicPosting } from "../../posting/avic-table.ts";
import type { AvicState } from "../../posting/avic-state.ts";
import { FrameWord } from "../../posting/words.ts";
import { senderFrame } from "../thread.ts";
import type { Vcpu } from "../vcpu.ts";
import { wakeUpFrom } from "../wake.ts";

const { at } = avicPosting;

const stateOf = (k: Kernel): AvicState => k.kvm!.state as AvicState;

function frameFor(k: Kernel, vcpu: Vcpu): number {
  const state = stateOf(k);
  const frame = senderFrame(k, vcpu.slot);
  state.set(frame + FrameWord.cpu, k.cpu.number);
  return frame;
}

const avicRingDoorbell = kernelFunction("avic_ring_doorbell", (k: Kernel, frame: number): void => {
  avicPosting.run(stateOf(k), frame, at["software-doorbell"]);
});

function complete(k: Kernel, frame: number): void {
  const next = avicPosting.run(stateOf(k), frame, at["software-test-mode"]);
  if (next === at["software-doorbell"]) avicRingDoorbell(k, frame);
  else wakeUpFrom(k, frame);
}

const completeFrom = kernelFunction("svm_complete_interrupt_delivery", complete);

/** A vector is in IRR: the guest is told, or the vCPU woken. Until 5.18 the senders did it themselves. */
export function svmCompleteInterruptDelivery(k: Kernel, vcpu: Vcpu): void {
  const frame = frameFor(k, vcpu);
  if (k.runs({ from: "5.18" })) completeFrom(k, frame);
  else complete(k, frame);
}

function deliver(k: Kernel, vcpu: Vcpu, vector: number): void {
  const state = stateOf(k);
  const frame = frameFor(k, vcpu);
  state.set(frame + FrameWord.vector, vector);
  avicPosting.run(state, frame, at["software-request"]);
  svmCompleteInterruptDelivery(k, vcpu);
}

const svmDeliverInterrupt = kernelFunction("svm_deliver_interrupt", deliver);
const svmDeliverAvicIntr = kernelFunction("svm_deliver_avic_intr", deliver);

/** An interrupt for a vCPU whose APIC AVIC virtualizes. */
export function deliverThroughAvic(k: Kernel, vcpu: Vcpu, vector: number): void {
  if (k.runs({ from: "5.18" })) svmDeliverInterrupt(k, vcpu, vector);
  else svmDeliverAvicIntr(k, vcpu, vector);
}
