import { eventKinds } from "../../../hardware/event.ts";
import { AmdIrData } from "../../amd-ir/irte.ts";
import type { Cpu } from "../../cpu.ts";
import { errno } from "../../errno.ts";
import type { AmdPiData } from "../../irq/chip.ts";
import { irqSetVcpuAffinity } from "../../irq/manage.ts";
import { kernelFunction } from "../../kernel-function.ts";
import type { Kernel } from "../../kernel.ts";
import { AvicEntryWord } from "../../posting/avic-state.ts";
import { avicPosting } from "../../posting/avic-table.ts";
import { FrameWord } from "../../posting/words.ts";
import { routineOf, senderFrame, setThreadRegister, threadRuns } from "../thread.ts";
import type { Vcpu } from "../vcpu.ts";
import type { KvmVm } from "../vm.ts";
import { vcpuWakeUp } from "../wake.ts";
import { gaTagOf, vcpuOfGaTag } from "./ga-tag.ts";
import { avicProtocol } from "./protocol.ts";

const { at } = avicPosting;

// Where a vCPU runs, in the table that IPIs look at and in the entries that post to it.

const updateIommuVcpuAffinity = kernelFunction(
  "avic_update_iommu_vcpu_affinity",
  (k: Kernel, vcpu: Vcpu, from: number): number => threadRuns(k, vcpu, from),
);

const own: ReadonlySet<string> = new Set(["__avic_vcpu_load", "__avic_vcpu_put"]);
const updating = "avic_update_iommu_vcpu_affinity";

/** Runs the thread's steps to the end of a routine; those that change entries are a function of their own. */
function throughEntries(k: Kernel, vcpu: Vcpu, from: number): void {
  let next = from;
  for (;;) {
    const routine = routineOf(k, next);
    if (routine === updating) next = updateIommuVcpuAffinity(k, vcpu, next);
    else if (own.has(routine)) next = threadRuns(k, vcpu, next);
    else return;
  }
}

/** Functions of their own since 6.17, when what must not happen to a vCPU that blocks went to their callers. */
const apart = { from: "6.17" } as const;

function load(k: Kernel, vcpu: Vcpu): void {
  throughEntries(k, vcpu, at["load-lock"]);
}

function put(k: Kernel, vcpu: Vcpu): void {
  throughEntries(k, vcpu, at["put-lock"]);
}

const loadInner = kernelFunction("__avic_vcpu_load", load);
const putBefore = kernelFunction("avic_vcpu_put", put);
const putInner = kernelFunction("__avic_vcpu_put", put);

/** The thread has a CPU. */
export const avicVcpuLoad = kernelFunction("avic_vcpu_load", (k: Kernel, vcpu: Vcpu, cpu: Cpu): void => {
  setThreadRegister(k, vcpu, FrameWord.cpu, cpu.number);
  if (threadRuns(k, vcpu, at["load-test-blocking"]) !== at["load-lock"]) return;
  if (k.runs(apart)) loadInner(k, vcpu);
  else load(k, vcpu);
});

/** The thread loses its CPU. */
export const avicVcpuPut = kernelFunction("avic_vcpu_put", (k: Kernel, vcpu: Vcpu): void => {
  if (threadRuns(k, vcpu, at["put-test-running"]) !== at["put-lock"]) return;
  if (k.runs(apart)) putInner(k, vcpu);
  else put(k, vcpu);
});

/** The thread is about to wait: from here on interrupts are to wake it. */
export const avicVcpuBlocking = kernelFunction("avic_vcpu_blocking", (k: Kernel, vcpu: Vcpu): void => {
  if (!vcpu.vm.apicv) return;
  setThreadRegister(k, vcpu, FrameWord.value, 1);
  setThreadRegister(k, vcpu, FrameWord.back, at["block-announce"]);
  if (k.runs(apart)) putInner(k, vcpu);
  else putBefore(k, vcpu);
});

/** The thread has stopped waiting. */
export const avicVcpuUnblocking = kernelFunction("avic_vcpu_unblocking", (k: Kernel, vcpu: Vcpu): void => {
  if (vcpu.vm.apicv) avicVcpuLoad(k, vcpu, vcpu.cpu!);
});

// Interrupts of devices.

/** `svm_ir_list_del`, and the entry with it. */
function leaveList(k: Kernel, hostIrq: number): void {
  const protocol = avicProtocol(k);
  const entry = protocol.entryOfIrq.get(hostIrq);
  if (entry === undefined) return;
  const { state } = protocol;
  const frame = senderFrame(k, state.ofEntry(entry, AvicEntryWord.vcpu));
  state.set(frame + FrameWord.entry, entry);
  for (let next = at["release-leave-list"]; next !== 0;) next = avicPosting.run(state, frame, next);
  protocol.entryOfIrq.delete(hostIrq);
  protocol.irData[entry] = null;
}

/** Points an entry at a vCPU, where it is, and puts it on the vCPU's list. */
function joinList(k: Kernel, hostIrq: number, vcpu: Vcpu, vector: number): number {
  const protocol = avicProtocol(k);
  const { state } = protocol;
  const entry = state.freeEntry();
  if (entry < 0) return -errno.ENOMEM;
  const frame = senderFrame(k, vcpu.slot);
  state.set(frame + FrameWord.entry, entry);
  avicPosting.run(state, frame, at["assign-lock"]);
  const info: AmdPiData = {
    vendor: "amd",
    vapic: protocol.pageOf(vcpu.slot),
    gaTag: gaTagOf(k, vcpu),
    vector,
    guestMode: vcpu.vm.apicv,
    apicId: state.get(frame + FrameWord.value) - 1,
    gaLogInterrupt: state.get(frame + FrameWord.part) === 1,
  };
  const result = irqSetVcpuAffinity(k, hostIrq, info);
  if (result === 0 && info.irData instanceof AmdIrData) {
    protocol.irData[entry] = info.irData;
    protocol.entryOfIrq.set(hostIrq, entry);
    for (let next = at["assign-take-entry"]; next !== 0;) next = avicPosting.run(state, frame, next);
    return 0;
  }
  avicPosting.run(state, frame, at["load-unlock"]);
  return result;
}

function update(k: Kernel, hostIrq: number, gsi: number, vcpu: Vcpu | null, vector: number): number {
  leaveList(k, hostIrq);
  const result = vcpu === null ? irqSetVcpuAffinity(k, hostIrq, null) : joinList(k, hostIrq, vcpu, vector);
  if (result === 0)
    k.observer?.record(eventKinds.routed, hostIrq, vcpu?.slot ?? -1, gsi, vector, vcpu?.id ?? -1, 0);
  return result;
}

const avicPiUpdateIrte = kernelFunction("avic_pi_update_irte", update);
const svmUpdatePiIrte = kernelFunction("svm_update_pi_irte", update);

/** Points a device's interrupt at a vCPU's backing page, or back at the host. @returns 0, or a negative errno. */
export function piUpdateIrte(
  k: Kernel,
  _vm: KvmVm,
  hostIrq: number,
  gsi: number,
  vcpu: Vcpu | null,
  vector: number,
): number {
  const body = k.runs({ from: "5.19" }) ? avicPiUpdateIrte : svmUpdatePiIrte;
  return body(k, hostIrq, gsi, vcpu, vector);
}

/** An interrupt came for a vCPU that does not run: its vector is in the backing page, the vCPU has to be woken. */
export const avicGaLogNotifier = kernelFunction(
  "avic_ga_log_notifier",
  (k: Kernel, gaTag: number): number => {
    const vcpu = vcpuOfGaTag(k, gaTag);
    if (vcpu !== undefined) vcpuWakeUp(k, vcpu);
    return 0;
  },
);

/** Entries that post to a vCPU go back to the host before it goes away. */
export function releaseEntries(k: Kernel, vcpu: Vcpu): void {
  const { state, entryOfIrq } = avicProtocol(k);
  for (const [hostIrq, entry] of entryOfIrq) {
    if (state.ofEntry(entry, AvicEntryWord.vcpu) !== vcpu.slot) continue;
    leaveList(k, hostIrq);
    irqSetVcpuAffinity(k, hostIrq, null);
  }
}
