import { decode, encode, hex } from "../../spec/codec.ts";
import {
  descriptorHeader,
  descriptorTypes,
  interruptEntryCacheInvalidate,
  invalidationWait,
} from "../../spec/vtd/descriptors.ts";
import { faultStatus, queueAddress, queueError, queueHead, queueTail } from "../../spec/vtd/registers.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { pageBytes } from "../pages.ts";
import { load, load32, store, store32 } from "./cached-memory.ts";
import { InvalidationQueue, queueLength, slotState } from "./queue-state.ts";
import type { IntelIommu } from "./unit.ts";

/** `qi_type_string` */
const typeNames: Readonly<Record<number, string>> = {
  [descriptorTypes.contextCache]: "Context-cache Invalidation",
  [descriptorTypes.iotlb]: "IOTLB Invalidation",
  [descriptorTypes.deviceTlb]: "Device-TLB Invalidation",
  [descriptorTypes.interruptEntryCache]: "Interrupt Entry Cache Invalidation",
  [descriptorTypes.wait]: "Invalidation Wait",
  [descriptorTypes.pasidIotlb]: "PASID-based IOTLB Invalidation",
  [descriptorTypes.pasidCache]: "PASID-cache Invalidation",
  [descriptorTypes.pasidDeviceTlb]: "PASID-based Device-TLB Invalidation",
  [descriptorTypes.pageGroupResponse]: "Page Group Response",
};

/** Turns the queue on, empty: 256 descriptors, of 256 bits where the unit has scalable mode. */
const startQueue = kernelFunction("__dmar_enable_qi", (_k: Kernel, iommu: IntelIommu): void => {
  const queue = iommu.queue!;
  queue.freeHead = 0;
  queue.freeTail = 0;
  queue.freeCount = queueLength;
  const wide = queue.step === 32 ? 1 : 0;
  iommu.writeLow("IQT", 0n);
  iommu.write("IQA", encode(queueAddress, { iqa: queue.base, dw: wide, qs: wide }));
  iommu.command({ qie: 1 });
});

/** Without the queue no interrupt entry can be invalidated. @returns 0, or a negative errno. */
export const dmarEnableQi = kernelFunction("dmar_enable_qi", (k: Kernel, iommu: IntelIommu): number => {
  if (iommu.ecap.qi === 0) return -errno.ENOENT;
  if (iommu.queue !== null) return 0;
  const step = iommu.ecap.smts === 1 ? 32 : 16;
  const base = k.pages.allocate(queueLength * step);
  const status = base < 0 ? -1 : k.pages.allocate(pageBytes);
  if (status < 0) {
    if (base >= 0) k.pages.free(base);
    return -errno.ENOMEM;
  }
  iommu.queue = new InvalidationQueue(base, status, step);
  startQueue(k, iommu);
  return 0;
});

/** Lets the unit work off what is queued, and turns the queue off. */
export const dmarDisableQi = kernelFunction("dmar_disable_qi", (_k: Kernel, iommu: IntelIommu): void => {
  if (iommu.ecap.qi === 0 || iommu.status.qies === 0) return;
  iommu.command({ qie: 0 });
});

/** After resume: the unit has lost its registers, the queue's memory is as it was. */
export const dmarReenableQi = kernelFunction("dmar_reenable_qi", (k: Kernel, iommu: IntelIommu): number => {
  if (iommu.ecap.qi === 0 || iommu.queue === null) return -errno.ENOENT;
  dmarDisableQi(k, iommu);
  startQueue(k, iommu);
  return 0;
});

/** Frees the queue's memory; it is off. */
export function freeQueue(k: Kernel, iommu: IntelIommu): void {
  if (iommu.queue === null) return;
  k.pages.free(iommu.queue.base);
  k.pages.free(iommu.queue.status);
  iommu.queue = null;
}

/** Bits 127:0 of the descriptor in a slot; the rest of a wide one is reserved. */
function descriptorIn(k: Kernel, queue: InvalidationQueue, slot: number): bigint {
  return load(k, queue.addressOf(slot), 128);
}

function put(k: Kernel, queue: InvalidationQueue, slot: number, descriptor: bigint): void {
  store(k, queue.addressOf(slot), descriptor, queue.step * 8);
}

function quadwords(descriptor: bigint): string {
  return `qw0 = ${hex(BigInt.asUintN(64, descriptor))}, qw1 = ${hex(descriptor >> 64n)}`;
}

/** The slot where the unit stands. */
function headOf(iommu: IntelIommu): number {
  return Number(decode(queueHead, iommu.read("IQH")).qh) / iommu.queue!.step;
}

const qiDumpFault = kernelFunction("qi_dump_fault", (k: Kernel, iommu: IntelIommu): void => {
  const describe = (slot: number): string => {
    const descriptor = descriptorIn(k, iommu.queue!, slot);
    const name = typeNames[Number(decode(descriptorHeader, descriptor).type)] ?? "UNKNOWN";
    return `${name} ${quadwords(descriptor)}`;
  };
  const head = headOf(iommu);
  const { iqei } = decode(queueError, iommu.read("IQERCD"));
  k.log.err(`DMAR: VT-d detected Invalidation Queue Error: Reason ${iqei.toString(16)}`);
  k.log.err(`DMAR: QI HEAD: ${describe(head)}`);
  k.log.err(`DMAR: QI PRIOR: ${describe((head + queueLength - 1) % queueLength)}`);
});

/**
 * Looks why a wait descriptor does not complete. A descriptor that the unit refuses is replaced by the wait
 * descriptor, so that the queue goes on.
 * @returns 0 while there is no reason, or a negative errno.
 */
const qiCheckFault = kernelFunction(
  "qi_check_fault",
  (k: Kernel, iommu: IntelIommu, index: number, waitIndex: number): number => {
    const queue = iommu.queue!;
    if (decode(faultStatus, iommu.read("FSTS")).iqe === 0) return 0;
    const terse = k.runs({ below: "5.14" });
    if (!terse) qiDumpFault(k, iommu);
    if (headOf(iommu) !== index) return 0;
    if (terse) {
      const refused = quadwords(descriptorIn(k, queue, index)).replaceAll("0x", "");
      k.log.err(`DMAR: VT-d detected invalid descriptor: ${refused}`);
    }
    put(k, queue, index, descriptorIn(k, queue, waitIndex));
    iommu.write("FSTS", encode(faultStatus, { iqe: 1 }));
    if (!terse) k.log.info("DMAR: Invalidation Queue Error (IQE) cleared");
    return -errno.EINVAL;
  },
);

/**
 * Queues a descriptor and one that waits for it, and waits until the unit has written the wait descriptor's status.
 * @returns 0, or a negative errno when the unit refused the descriptor.
 * @throws Error when the unit neither completes nor refuses it: a kernel would wait for ever.
 */
export const qiSubmitSync = kernelFunction(
  "qi_submit_sync",
  (k: Kernel, iommu: IntelIommu, descriptor: bigint): number => {
    const { queue } = iommu;
    if (queue === null) return 0;
    const index = queue.freeHead;
    const waitIndex = (index + 1) % queueLength;
    put(k, queue, index, descriptor);
    store32(k, queue.statusOf(index), slotState.inUse);
    store32(k, queue.statusOf(waitIndex), slotState.inUse);
    const wait = encode(invalidationWait, {
      type: descriptorTypes.wait,
      sw: 1,
      statusdata: slotState.done,
      statusaddress: queue.statusOf(waitIndex),
    });
    put(k, queue, waitIndex, wait);
    queue.freeHead = (waitIndex + 1) % queueLength;
    queue.freeCount -= 2;
    iommu.writeLow("IQT", encode(queueTail, { qt: queue.freeHead * queue.step }));

    let result = 0;
    while (load32(k, queue.statusOf(waitIndex)) !== slotState.done) {
      result = qiCheckFault(k, iommu, index, waitIndex);
      if (result !== 0) break;
      throw new Error(`${iommu.name}: an invalidation is neither completed nor refused`);
    }
    store32(k, queue.statusOf(index), slotState.done);
    reclaim(k, queue);
    return result;
  },
);

/** `reclaim_free_desc` */
function reclaim(k: Kernel, queue: InvalidationQueue): void {
  while (load32(k, queue.statusOf(queue.freeTail)) === slotState.done) {
    store32(k, queue.statusOf(queue.freeTail), slotState.free);
    queue.freeTail = (queue.freeTail + 1) % queueLength;
    queue.freeCount++;
  }
}

const type = descriptorTypes.interruptEntryCache;

/** Drops every cached entry. */
export const qiGlobalIec = kernelFunction("qi_global_iec", (k: Kernel, iommu: IntelIommu): void => {
  qiSubmitSync(k, iommu, encode(interruptEntryCacheInvalidate, { type }));
});

/** Drops the 2^mask cached entries around an index. */
export const qiFlushIec = kernelFunction(
  "qi_flush_iec",
  (k: Kernel, iommu: IntelIommu, index: number, mask: number): number =>
    qiSubmitSync(k, iommu, encode(interruptEntryCacheInvalidate, { type, g: 1, iidx: index, im: mask })),
);
