import { decode, encode } from "../../spec/codec.ts";
import { virtqAvailable, virtqDescriptor, virtqUsed, virtqUsedElement } from "../../spec/virtio/ring.ts";
import { EventNotifier } from "../event-notifier.ts";
import { bytesOf, valueOf } from "../little-endian.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import type { VirtioDevice } from "./device.ts";
import { virtioError } from "./notify.ts";

/** The most buffers in one chain, with an indirect table too. */
const chainLimit = 1024;

/** `VirtQueue`: a split virtqueue in guest memory, from the device's side. */
export class VirtQueue {
  readonly index: number;
  /** Entries that it can have. */
  readonly limit: number;
  size: number;
  enabled = false;
  /** Guest physical addresses of its three parts. */
  descriptors = 0;
  available = 0;
  used = 0;
  vector = 0xffff;
  /** The next entry of the available ring to be looked at, and of the used ring to be filled; 16 bits, free-running. */
  lastAvailable = 0;
  usedIndex = 0;
  /** Chains that were taken and not given back. */
  inUse = 0;
  /** Set by the guest's notifications; the event loop sees to them. */
  readonly hostNotifier: EventNotifier;

  constructor(index: number, limit: number) {
    this.index = index;
    this.limit = limit;
    this.size = limit;
    this.hostNotifier = new EventNotifier(`host notifier ${index}`);
  }

  reset(): void {
    this.size = this.limit;
    this.enabled = false;
    this.descriptors = this.available = this.used = 0;
    this.vector = 0xffff;
    this.lastAvailable = this.usedIndex = this.inUse = 0;
  }
}

/** A buffer of a chain: bytes of guest memory. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** `VirtQueueElement`: one chain, taken from a queue. */
export interface Element {
  readonly head: number;
  /** What the device reads. */
  readonly out: readonly Segment[];
  /** What the device writes. */
  readonly in: readonly Segment[];
}

/** What a guest can get wrong in a queue. */
export type QueueFault =
  /** A part of the queue, or an indirect table, is not RAM. */
  | "ring not in RAM"
  /** More entries are available than there are descriptors. */
  | "available index out of range"
  | "head out of range"
  | "link out of range"
  /** More buffers than the table has descriptors. */
  | "chain loops"
  /** A buffer to read behind one to write. */
  | "buffers out of order"
  | "buffer empty"
  | "buffer not in RAM"
  | "indirect table of a wrong size"
  | "indirect table inside another";

function read16({ ram }: Vmm, address: number): number {
  return Number(valueOf(ram.read(address, 2)));
}

/** @returns how many chains wait; -1 after a fault. */
const virtqueueNumHeads = qemuFunction(
  "virtqueue_num_heads",
  (vmm: Vmm, device: VirtioDevice, queue: VirtQueue): number => {
    const { ram } = vmm;
    const { size, descriptors, available, used } = queue;
    const inRam =
      ram.covers(descriptors, 16 * size) &&
      ram.covers(available, 4 + 2 * size) &&
      ram.covers(used, 4 + 8 * size);
    if (!inRam) return virtioError(vmm, device, "ring not in RAM");
    const { index } = decode(virtqAvailable, valueOf(ram.read(available, 4)));
    const waiting = (Number(index) - queue.lastAvailable) & 0xffff;
    return waiting > size ? virtioError(vmm, device, "available index out of range") : waiting;
  },
  inlined,
);

/** Walks the chain that begins at a descriptor. @returns what is wrong with it, if anything is. */
function walk(
  { ram }: Vmm,
  queue: VirtQueue,
  head: number,
  out: Segment[],
  into: Segment[],
): QueueFault | null {
  let table = queue.descriptors;
  let entries = queue.size;
  let at = head;
  for (let indirect = false; ;) {
    const descriptor = decode(virtqDescriptor, valueOf(ram.read(table + 16 * at, 16)));
    const address = Number(descriptor.address);
    const length = Number(descriptor.length);
    if (descriptor.indirect === 1) {
      if (indirect) return "indirect table inside another";
      if (length === 0 || length % 16 !== 0) return "indirect table of a wrong size";
      if (!ram.covers(address, length)) return "ring not in RAM";
      indirect = true;
      table = address;
      entries = length / 16;
      at = 0;
      continue;
    }
    if (length === 0) return "buffer empty";
    if (!ram.covers(address, length)) return "buffer not in RAM";
    if (descriptor.write === 1) into.push({ address, length });
    else if (into.length > 0) return "buffers out of order";
    else out.push({ address, length });
    if (out.length + into.length > Math.min(entries, chainLimit)) return "chain loops";
    if (descriptor.next === 0) return null;
    at = Number(descriptor.link);
    if (at >= entries) return "link out of range";
  }
}

const virtqueueSplitPop = qemuFunction(
  "virtqueue_split_pop",
  (vmm: Vmm, device: VirtioDevice, queue: VirtQueue): Element | null => {
    if (device.fault !== null || !queue.enabled) return null;
    if (virtqueueNumHeads(vmm, device, queue) <= 0) return null;
    const head = read16(vmm, queue.available + 4 + 2 * (queue.lastAvailable % queue.size));
    const out: Segment[] = [];
    const into: Segment[] = [];
    const fault = head < queue.size ? walk(vmm, queue, head, out, into) : "head out of range";
    if (fault !== null) {
      virtioError(vmm, device, fault);
      return null;
    }
    queue.lastAvailable = (queue.lastAvailable + 1) & 0xffff;
    queue.inUse++;
    return { head, out, in: into };
  },
);

/** The next chain that the guest has made available; null when there is none, or what is there is wrong. */
export const virtqueuePop = qemuFunction(
  "virtqueue_pop",
  (vmm: Vmm, device: VirtioDevice, queue: VirtQueue): Element | null => virtqueueSplitPop(vmm, device, queue),
);

/** Gives a chain back to the guest. @param written bytes that the device wrote to it. */
export const virtqueuePush = qemuFunction(
  "virtqueue_push",
  ({ ram }: Vmm, queue: VirtQueue, { head }: Element, written: number): void => {
    const element = encode(virtqUsedElement, { id: head, length: written });
    ram.write(queue.used + 4 + 8 * (queue.usedIndex % queue.size), bytesOf(element, 8));
    queue.usedIndex = (queue.usedIndex + 1) & 0xffff;
    const header = decode(virtqUsed, valueOf(ram.read(queue.used, 4)));
    ram.write(queue.used, bytesOf(encode(virtqUsed, { ...header, index: queue.usedIndex }), 4));
    queue.inUse--;
  },
);

/** Tells the guest whether it need notify. */
export const virtioQueueSetNotification = qemuFunction(
  "virtio_queue_set_notification",
  ({ ram }: Vmm, queue: VirtQueue, wanted: boolean): void => {
    if (!queue.enabled || !ram.covers(queue.used, 4)) return;
    ram.write(
      queue.used,
      bytesOf(encode(virtqUsed, { index: queue.usedIndex, nonotify: Number(!wanted) }), 4),
    );
  },
);

/** Copies what the segments hold, at most so many bytes from an offset. */
export function gather({ ram }: Vmm, segments: readonly Segment[], offset: number, most: number): Uint8Array {
  const total = Math.min(Math.max(lengthOf(segments) - offset, 0), most);
  const bytes = new Uint8Array(total);
  let position = -offset;
  for (const { address, length } of segments) {
    const from = Math.max(0, -position);
    const to = Math.min(length, total - position);
    if (from < to) bytes.set(ram.read(address + from, to - from), position + from);
    position += length;
  }
  return bytes;
}

/** Copies bytes to where the segments begin. */
export function scatter({ ram }: Vmm, segments: readonly Segment[], bytes: Uint8Array): void {
  let at = 0;
  for (const { address, length } of segments) {
    ram.write(address, bytes.subarray(at, at + length));
    at += length;
  }
}

export function lengthOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { length }) => sum + length, 0);
}
