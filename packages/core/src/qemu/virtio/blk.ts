import { decode, encode } from "../../spec/codec.ts";
import {
  blkConfig,
  blkHeaderBytes,
  blkIdBytes,
  blkRequest,
  blkRequestHeader,
  blkStatus,
  sectorBytes,
} from "../../spec/virtio/blk.ts";
import { virtioBlkDevice, virtioFeature } from "../../spec/virtio/pci.ts";
import { type Disk, blkAioFlush, blkAioPreadv, blkAioPwritev } from "../block/aio.ts";
import { eventNotifierSet } from "../event-notifier.ts";
import { bytesOf, valueOf } from "../little-endian.ts";
import type { PciBus } from "../pci/bus.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { VirtioDevice } from "./device.ts";
import { virtioReset } from "./device-status.ts";
import { virtioError, virtioNotify } from "./notify.ts";
import { VirtioPci } from "./pci.ts";
import {
  type Element,
  type Segment,
  VirtQueue,
  gather,
  lengthOf,
  scatter,
  virtioQueueSetNotification,
  virtqueuePop,
  virtqueuePush,
} from "./queue.ts";

const storageClass = 0x010000;
const queueSize = 256;

/** `VirtIOBlockReq` */
interface BlkRequest {
  readonly blk: VirtioBlk;
  readonly queue: VirtQueue;
  readonly element: Element;
  /** The resets that the device had seen when it took the request. */
  readonly epoch: number;
  readonly type: number;
  readonly sector: number;
  /** What lies between the header and the status byte. */
  readonly data: readonly Segment[];
  readonly statusAddress: number;
}

export interface VirtioBlkOptions {
  readonly requester: number;
  /** What GET_ID answers; at most 20 characters are told. */
  readonly serial?: string;
}

/** A virtio block device: a disk, as a function on the guest's PCI bus. */
export class VirtioBlk {
  readonly disk: Disk;
  readonly device: VirtioDevice;
  readonly pci: VirtioPci;
  readonly serial: string;

  constructor(disk: Disk, options: VirtioBlkOptions) {
    this.disk = disk;
    this.serial = options.serial ?? "intremap";
    const config = encode(blkConfig, { capacity: disk.backend.size / sectorBytes, blocksize: sectorBytes });
    const { blkFlush, indirect, version1 } = virtioFeature;
    this.device = new VirtioDevice({
      queues: [new VirtQueue(0, queueSize)],
      offered: [blkFlush, indirect, version1].reduce((all, bit) => all | (1n << BigInt(bit)), 0n),
      config: bytesOf(config, blkConfig.width / 8),
      handleOutput: (vmm, queue) => virtioBlkHandleOutput(vmm, this, queue),
    });
    this.pci = new VirtioPci(this.device, {
      name: "virtio-blk-pci",
      requester: options.requester,
      device: virtioBlkDevice,
      classCode: storageClass,
    });
  }

  /** Takes the device from the bus; what it still has asked of the disk is answered to nobody. */
  unplug(bus: PciBus): void {
    bus.unplug(this.pci.fn);
    this.pci.reset();
    virtioReset(bus.vmm, this.device);
    this.disk.close(bus.vmm);
  }
}

const virtioBlkReqComplete = qemuFunction(
  "virtio_blk_req_complete",
  (vmm: Vmm, request: BlkRequest, status: number): void => {
    const { blk, queue, element } = request;
    if (request.epoch !== blk.device.epoch) return;
    vmm.ram.write(request.statusAddress, Uint8Array.of(status));
    virtqueuePush(vmm, queue, element, lengthOf(element.in));
    virtioNotify(vmm, blk.device, queue);
  },
  inlined,
);

const virtioBlkRwComplete = qemuFunction(
  "virtio_blk_rw_complete",
  (vmm: Vmm, request: BlkRequest, result: number): void =>
    virtioBlkReqComplete(vmm, request, result < 0 ? blkStatus.ioError : blkStatus.ok),
);

const virtioBlkFlushComplete = qemuFunction(
  "virtio_blk_flush_complete",
  (vmm: Vmm, request: BlkRequest, result: number): void =>
    virtioBlkReqComplete(vmm, request, result < 0 ? blkStatus.ioError : blkStatus.ok),
);

/** The next request of the queue; null when there is none or it makes no sense. */
const virtioBlkGetRequest = qemuFunction(
  "virtio_blk_get_request",
  (vmm: Vmm, blk: VirtioBlk, queue: VirtQueue): Element | null => virtqueuePop(vmm, blk.device, queue),
  inlined,
);

/** What a chain asks for; null after a fault. */
function parse(vmm: Vmm, blk: VirtioBlk, queue: VirtQueue, element: Element): BlkRequest | null {
  const header = gather(vmm, element.out, 0, blkHeaderBytes);
  if (header.length < blkHeaderBytes) {
    virtioError(vmm, blk.device, "request without header");
    return null;
  }
  const last = element.in.at(-1);
  if (last === undefined) {
    virtioError(vmm, blk.device, "request without status");
    return null;
  }
  const { type, sector } = decode(blkRequestHeader, valueOf(header));
  const isWrite = Number(type) === blkRequest.out;
  return {
    blk,
    queue,
    element,
    epoch: blk.device.epoch,
    type: Number(type),
    sector: Number(sector),
    data: isWrite ? element.out : [...element.in.slice(0, -1), { ...last, length: last.length - 1 }],
    statusAddress: last.address + last.length - 1,
  };
}

const virtioBlkSectRangeOk = qemuFunction(
  "virtio_blk_sect_range_ok",
  (_vmm: Vmm, { disk }: VirtioBlk, sector: number, bytes: number): boolean =>
    bytes % sectorBytes === 0 && sector * sectorBytes + bytes <= disk.backend.size,
  inlined,
);

const submitRequests = qemuFunction(
  "submit_requests",
  (vmm: Vmm, request: BlkRequest): void => {
    const { blk, sector, data, epoch } = request;
    const offset = sector * sectorBytes;
    const done = (vmm: Vmm, result: number): void => virtioBlkRwComplete(vmm, request, result);
    if (request.type === blkRequest.out) {
      const bytes = gather(vmm, data, blkHeaderBytes, Infinity);
      blkAioPwritev(vmm, blk.disk, offset, bytes, done);
      return;
    }
    const into = (bytes: Uint8Array): void => {
      if (epoch === blk.device.epoch) scatter(vmm, data, bytes);
    };
    blkAioPreadv(vmm, blk.disk, offset, lengthOf(data), into, done);
  },
  inlined,
);

/** Requests go to the disk when the queue has been emptied; neighbours are not merged (`request-merging=off`). */
const virtioBlkSubmitMultireq = qemuFunction(
  "virtio_blk_submit_multireq",
  (vmm: Vmm, requests: readonly BlkRequest[]): void => {
    for (const request of requests) submitRequests(vmm, request);
  },
);

const virtioBlkHandleFlush = qemuFunction("virtio_blk_handle_flush", (vmm: Vmm, request: BlkRequest): void =>
  blkAioFlush(vmm, request.blk.disk, (vmm, result) => virtioBlkFlushComplete(vmm, request, result)),
);

/** Carries a request out, or puts it with those that go to the disk. @returns false after a fault. */
const virtioBlkHandleRequest = qemuFunction(
  "virtio_blk_handle_request",
  (vmm: Vmm, blk: VirtioBlk, queue: VirtQueue, element: Element, batch: BlkRequest[]): boolean => {
    const request = parse(vmm, blk, queue, element);
    if (request === null) return false;
    const { type, sector, data } = request;
    switch (type) {
      case blkRequest.in:
      case blkRequest.out: {
        const bytes = lengthOf(data) - (type === blkRequest.out ? blkHeaderBytes : 0);
        if (virtioBlkSectRangeOk(vmm, blk, sector, bytes)) batch.push(request);
        else virtioBlkReqComplete(vmm, request, blkStatus.ioError);
        return true;
      }
      case blkRequest.flush:
        virtioBlkHandleFlush(vmm, request);
        return true;
      case blkRequest.getId: {
        const id = new Uint8Array(Math.min(blkIdBytes, lengthOf(data)));
        for (let i = 0; i < Math.min(id.length, blk.serial.length); i++) id[i] = blk.serial.charCodeAt(i);
        scatter(vmm, data, id);
        virtioBlkReqComplete(vmm, request, blkStatus.ok);
        return true;
      }
      default:
        virtioBlkReqComplete(vmm, request, blkStatus.unsupported);
        return true;
    }
  },
);

const virtioBlkHandleVq = qemuFunction(
  "virtio_blk_handle_vq",
  (vmm: Vmm, blk: VirtioBlk, queue: VirtQueue): void => {
    const batch: BlkRequest[] = [];
    virtioQueueSetNotification(vmm, queue, false);
    let taken = 0;
    for (; taken < queue.size; taken++) {
      const element = virtioBlkGetRequest(vmm, blk, queue);
      if (element === null || !virtioBlkHandleRequest(vmm, blk, queue, element, batch)) break;
    }
    virtioQueueSetNotification(vmm, queue, true);
    // A guest whose rings overlap could go on for ever: the rest has to wait for the loop's next turn.
    if (taken === queue.size) eventNotifierSet(vmm, queue.hostNotifier);
    virtioBlkSubmitMultireq(vmm, batch);
  },
);

const virtioBlkHandleOutput = qemuFunction(
  "virtio_blk_handle_output",
  (vmm: Vmm, blk: VirtioBlk, queue: VirtQueue): void => virtioBlkHandleVq(vmm, blk, queue),
);
