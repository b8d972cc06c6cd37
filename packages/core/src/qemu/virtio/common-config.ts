import { commonConfig as at, noVector, virtioStatus } from "../../spec/virtio/pci.ts";
import type { AccessSize } from "../memory/region.ts";
import { type Msix, msixVectorUnuse, msixVectorUse } from "../pci/msix.ts";
import { qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import type { VirtioPci } from "./pci.ts";
import type { VirtQueue } from "./queue.ts";
import { virtioSetStatus } from "./device-status.ts";

const low = (value: number): number => value % 2 ** 32;
const high = (value: number): number => Math.floor(value / 2 ** 32);

/** Features come as halves of 32 bits; there are none beyond the second. */
const half = (features: bigint, select: number): number =>
  select < 2 ? Number((features >> BigInt(32 * select)) & 0xffff_ffffn) : 0;

/** Which of the queue's registers stands for which of its addresses. */
const addressRegisters = [
  { offset: at.queueDescriptors, part: "descriptors" },
  { offset: at.queueAvailable, part: "available" },
  { offset: at.queueUsed, part: "used" },
] as const;

/** A register of the common configuration structure. */
export const virtioPciCommonRead = qemuFunction(
  "virtio_pci_common_read",
  (_vmm: Vmm, proxy: VirtioPci, offset: number): number => {
    const { device } = proxy;
    const queue = device.queues[proxy.queueSelect];
    switch (offset) {
      case at.deviceFeatureSelect:
        return proxy.deviceFeatureSelect;
      case at.deviceFeature:
        return half(device.offered, proxy.deviceFeatureSelect);
      case at.driverFeatureSelect:
        return proxy.driverFeatureSelect;
      case at.driverFeature:
        return half(device.features, proxy.driverFeatureSelect);
      case at.configVector:
        return device.configVector;
      case at.queues:
        return device.queues.length;
      case at.status:
        return device.status;
      case at.generation:
        return 0;
      case at.queueSelect:
        return proxy.queueSelect;
      default:
        return queue === undefined ? 0 : readQueue(queue, offset);
    }
  },
);

function readQueue(queue: VirtQueue, offset: number): number {
  for (const { offset: register, part } of addressRegisters) {
    if (offset === register) return low(queue[part]);
    if (offset === register + 4) return high(queue[part]);
  }
  switch (offset) {
    case at.queueSize:
      return queue.size;
    case at.queueVector:
      return queue.vector;
    case at.queueEnable:
      return Number(queue.enabled);
    case at.queueNotifyOffset:
      return queue.index;
    default:
      return 0;
  }
}

/** Maps a vector. @returns what the register holds then: no vector where there is none of that number. */
function mapVector(msix: Msix, before: number, wanted: number): number {
  if (before !== noVector) msixVectorUnuse(msix, before);
  if (wanted >= msix.vectors) return noVector;
  msixVectorUse(msix, wanted);
  return wanted;
}

export const virtioPciCommonWrite = qemuFunction(
  "virtio_pci_common_write",
  (vmm: Vmm, proxy: VirtioPci, offset: number, size: AccessSize, value: number): void => {
    const { device, msix } = proxy;
    const queue = device.queues[proxy.queueSelect];
    switch (offset) {
      case at.deviceFeatureSelect:
        proxy.deviceFeatureSelect = value;
        return;
      case at.driverFeatureSelect:
        proxy.driverFeatureSelect = value;
        return;
      case at.driverFeature:
        if (proxy.driverFeatureSelect > 1 || (device.status & virtioStatus.featuresOk) !== 0) return;
        proxy.driverFeatures[proxy.driverFeatureSelect] = BigInt(value >>> 0);
        device.features = (proxy.driverFeatures[0]! | (proxy.driverFeatures[1]! << 32n)) & device.offered;
        return;
      case at.configVector:
        device.configVector = mapVector(msix, device.configVector, value);
        return;
      case at.status:
        if (value === 0) proxy.reset();
        virtioSetStatus(vmm, device, value & 0xff);
        return;
      case at.queueSelect:
        proxy.queueSelect = value;
        return;
      case at.queueVector:
        if (queue !== undefined) queue.vector = mapVector(msix, queue.vector, value);
        return;
      default:
        // What a running queue consists of cannot be changed under it.
        if (queue !== undefined && !queue.enabled) writeQueue(queue, offset, size, value);
    }
  },
);

function writeQueue(queue: VirtQueue, offset: number, size: AccessSize, value: number): void {
  if (offset === at.queueSize && value > 0 && value <= queue.limit && Number.isInteger(Math.log2(value))) {
    queue.size = value;
  }
  if (offset === at.queueEnable && value === 1) queue.enabled = true;
  if (size !== 4) return;
  for (const { offset: register, part } of addressRegisters) {
    if (offset === register) queue[part] = high(queue[part]) * 2 ** 32 + (value >>> 0);
    if (offset === register + 4) queue[part] = (value >>> 0) * 2 ** 32 + low(queue[part]);
  }
}
