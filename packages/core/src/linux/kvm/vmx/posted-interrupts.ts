import { PostedDescriptor } from "../../../hardware/posting/descriptor.ts";
import { kernelFunction } from "../../kernel-function.ts";
import type { Kernel } from "../../kernel.ts";
import type { Cpu } from "../../cpu.ts";
import type { IntelPiData } from "../../irq/chip.ts";
import { done } from "../../posting/step.ts";
import { FrameWord } from "../../posting/words.ts";
import { vmxPosting } from "../../posting/vmx-table.ts";
import { wakeUpFrom } from "../wake.ts";
import { senderFrame, setThreadRegister, threadRuns, vmFrame } from "../thread.ts";
import type { Vcpu } from "../vcpu.ts";
import type { KvmVm } from "../vm.ts";
import { vmxProtocol } from "./protocol.ts";

const { at } = vmxPosting;

/** The thread gets a CPU: notifications are to find it there. */
export const vmxVcpuPiLoad = kernelFunction("vmx_vcpu_pi_load", (k: Kernel, vcpu: Vcpu, cpu: Cpu): void => {
  setThreadRegister(k, vcpu, FrameWord.cpu, cpu.number);
  threadRuns(k, vcpu, at["load-test-vector"]);
});

const piEnableWakeupHandler = kernelFunction("pi_enable_wakeup_handler", (k: Kernel, vcpu: Vcpu): void => {
  threadRuns(k, vcpu, at["wakeup-list-add"]);
});

/** The thread loses its CPU: notifications are to wake it, or to keep away. */
export const vmxVcpuPiPut = kernelFunction("vmx_vcpu_pi_put", (k: Kernel, vcpu: Vcpu): void => {
  if (threadRuns(k, vcpu, at["put-test-target"]) === at["wakeup-list-add"]) piEnableWakeupHandler(k, vcpu);
});

/** Handler of {@link wakeupVector}: wakes the vCPUs of the CPU's list to which something was posted. */
export const piWakeupHandler = kernelFunction("pi_wakeup_handler", (k: Kernel, cpu: Cpu): void => {
  const { state, table } = vmxProtocol(k);
  const frame = state.handlerAt(cpu.number);
  state.set(frame + FrameWord.cpu, cpu.number);
  state.set(frame + FrameWord.vcpu, -1);
  let next: number = at["wakeup-walk"];
  while (next !== done)
    next = next === at["wake-vcpu"] ? wakeUpFrom(k, frame) : table.run(state, frame, next);
});

/** Something was posted that nobody has looked at. */
export const piHasPendingInterrupt = kernelFunction(
  "pi_has_pending_interrupt",
  (k: Kernel, vcpu: Vcpu): boolean => {
    const descriptor = new PostedDescriptor(k.memory, vmxProtocol(k).descriptorOf(vcpu.slot));
    return descriptor.on === 1 || (descriptor.sn === 1 && descriptor.pending);
  },
);

/** Brings what was posted to IRR, for whichever step of the thread comes next. */
export function harvest(k: Kernel, vcpu: Vcpu): void {
  threadRuns(k, vcpu, at["sync-test-on"]);
}

const triggerPostedInterrupt = kernelFunction(
  "kvm_vcpu_trigger_posted_interrupt",
  (k: Kernel, frame: number): number => {
    const { state, table } = vmxProtocol(k);
    return table.run(state, frame, at["software-test-mode"]);
  },
  { inlined: true },
);

/** An interrupt is posted by software. */
export const vmxDeliverPostedInterrupt = kernelFunction(
  "vmx_deliver_posted_interrupt",
  (k: Kernel, vcpu: Vcpu, vector: number): void => {
    const { state, table } = vmxProtocol(k);
    const frame = senderFrame(k, vcpu.slot);
    state.set(frame + FrameWord.vector, vector);
    if (table.run(state, frame, at["software-set-pir"]) === done) return;
    if (triggerPostedInterrupt(k, frame) === at["wake-vcpu"]) wakeUpFrom(k, frame);
  },
);

const makeAllCpusRequest = kernelFunction(
  "kvm_make_all_cpus_request",
  (k: Kernel, frame: number, from: number): void => {
    const { state, table } = vmxProtocol(k);
    let next = from;
    while (next !== at["irte-ask-posted"]) {
      next = next === at["wake-vcpu"] ? wakeUpFrom(k, frame) : table.run(state, frame, next);
    }
  },
);

/** What KVM asks of the driver of an entry. @param vcpu null for the host. */
export function piDataFor(k: Kernel, vm: KvmVm, vcpu: Vcpu | null, vector: number): IntelPiData | null {
  const { state, table } = vmxProtocol(k);
  const frame = vmFrame(k, vm);
  if (vcpu === null) {
    table.run(state, frame, at["irte-ask-remapped"]);
    return null;
  }
  state.set(frame + FrameWord.vcpu, vcpu.slot);
  table.run(state, frame, at["irte-ask-posted"]);
  const low = state.take(frame + FrameWord.addressLow) >>> 0;
  const high = state.take(frame + FrameWord.addressHigh) >>> 0;
  return { vendor: "intel", descriptor: high * 2 ** 32 + low, vector };
}

/** The first device of a VM: its vCPUs that sleep are to sleep as ones that devices wake. */
export const vmxPiStartBypass = kernelFunction("vmx_pi_start_bypass", (k: Kernel, vm: KvmVm): void => {
  const { state, table } = vmxProtocol(k);
  const frame = vmFrame(k, vm);
  const next = table.run(state, frame, at["kick-on-assign"]);
  if (next === at["kick-request"]) makeAllCpusRequest(k, frame, next);
});
