import type { MsiMessage } from "../linux/irq/chip.ts";
import type { PciAccess } from "../linux/pci/device.ts";
import { decode, encode, toWords } from "../spec/codec.ts";
import * as command from "../spec/accessors/pci-command-status.ts";
import * as msix from "../spec/accessors/msix-control.ts";
import { capabilityIds, configOffset } from "../spec/pci/config-header.ts";
import { msixCapability, msixTableEntry } from "../spec/pci/msix.ts";
import { blkConfig, blkHeaderBytes, blkRequest, blkRequestHeader, sectorBytes } from "../spec/virtio/blk.ts";
import {
  commonConfig,
  noVector,
  notifyMultiplierOffset,
  virtioCapability,
  virtioFeature,
  virtioStatus,
  virtioStructure,
} from "../spec/virtio/pci.ts";
import {
  ringBytes,
  virtqAvailable,
  virtqDescriptor,
  virtqUsed,
  virtqUsedElement,
} from "../spec/virtio/ring.ts";
import { bytesOf, valueOf } from "./little-endian.ts";

/** A guest's RAM as its own code reaches it, by guest physical address. */
export interface GuestMemory {
  read(address: number, length: number): Uint8Array;
  write(address: number, bytes: Uint8Array): void;
}

export interface GuestVirtioBlkOptions {
  readonly access: PciAccess;
  readonly memory: GuestMemory;
  /** Guest physical address of memory that is the driver's, on a page boundary: a mebibyte of it. */
  readonly workspace: number;
  /** What vector 0 is to write; without it somebody else has set MSI-X up. */
  readonly message?: MsiMessage;
}

/** A request from its submission to its end. */
export interface GuestRequest {
  /** Of virtio-blk; null until the device has answered. */
  status: number | null;
  /** What was read. */
  data: Uint8Array;
}

interface Slot {
  readonly request: GuestRequest;
  readonly reads: number;
}

const slots = 8;
const chain = 3;
const queueSize = 32;
const bufferBytes = 0x1_0000;
const slotBytes = 0x1000 + bufferBytes;
const statusOffset = blkHeaderBytes;
const bufferOffset = 0x1000;

/**
 * Guest code: a driver for a virtio block device with one queue, one MSI-X vector and a few requests at a time. It knows
 * the device by its configuration space and BARs, and the machine by its memory.
 */
export class GuestVirtioBlk {
  /** Sectors of the disk; known once the driver has started. */
  capacity = 0;
  interrupts = 0;
  readonly #access: PciAccess;
  readonly #memory: GuestMemory;
  readonly #message: MsiMessage | null;
  readonly #descriptors: number;
  readonly #available: number;
  readonly #used: number;
  readonly #buffers: number;
  readonly #slots: (Slot | null)[] = Array.from({ length: slots }, () => null);
  /** Where the structures lie, by their type. */
  readonly #places = new Map<number, { readonly bar: number; readonly offset: number }>();
  #notifyMultiplier = 0;
  #notifyOffset = 0;
  #nextAvailable = 0;
  #nextUsed = 0;

  constructor(options: GuestVirtioBlkOptions) {
    this.#access = options.access;
    this.#memory = options.memory;
    this.#message = options.message ?? null;
    const { descriptors, available } = ringBytes(queueSize);
    this.#descriptors = options.workspace;
    this.#available = this.#descriptors + descriptors;
    this.#used = Math.ceil((this.#available + available) / 4) * 4;
    this.#buffers = options.workspace + 0x1000;
  }

  /** Requests under way. */
  get pending(): number {
    return this.#slots.filter((slot) => slot !== null).length;
  }

  /**
   * Finds the device's structures, negotiates, gives it a queue and a vector, and lets it go.
   * @throws Error when the device refuses.
   */
  start(): void {
    const access = this.#access;
    const before = access.readConfig(configOffset.commandStatus, 2);
    access.writeConfig(configOffset.commandStatus, 2, before | command.MSE_MASK | command.BME_MASK);
    this.#findStructures();
    if (this.#message !== null) this.#enableMsix(this.#message);
    this.#negotiate();
    this.#setUpQueue();
    this.#write(commonConfig.status, 1, this.#read(commonConfig.status, 1) | virtioStatus.driverOk);
    const { capacity } = decode(blkConfig, valueOf(this.#deviceConfig()));
    this.capacity = Number(capacity);
  }

  /** @throws RangeError when it does not fit a request, or there are too many under way. */
  read(sector: number, count: number): GuestRequest {
    const bytes = count * sectorBytes;
    return this.#submit(blkRequest.in, sector, bytes, null);
  }

  /** @throws RangeError as {@link read} does. */
  write(sector: number, bytes: Uint8Array): GuestRequest {
    return this.#submit(blkRequest.out, sector, bytes.length, bytes);
  }

  flush(): GuestRequest {
    return this.#submit(blkRequest.flush, 0, 0, null);
  }

  /** The handler of vector 0: takes what the device has used. @returns how many requests it has ended. */
  onInterrupt(): number {
    this.interrupts++;
    const { index } = decode(virtqUsed, valueOf(this.#memory.read(this.#used, 4)));
    let ended = 0;
    for (; this.#nextUsed !== Number(index); this.#nextUsed = (this.#nextUsed + 1) & 0xffff) {
      const element = this.#memory.read(this.#used + 4 + 8 * (this.#nextUsed % queueSize), 8);
      const slot = Number(decode(virtqUsedElement, valueOf(element)).id) / chain;
      const taken = this.#slots[slot];
      if (taken === null || taken === undefined) continue;
      const at = this.#buffers + slot * slotBytes;
      taken.request.status = this.#memory.read(at + statusOffset, 1)[0]!;
      taken.request.data = this.#memory.read(at + bufferOffset, taken.reads);
      this.#slots[slot] = null;
      ended++;
    }
    return ended;
  }

  /** Gives the device back: it is reset. */
  stop(): void {
    this.#write(commonConfig.status, 1, 0);
    this.#slots.fill(null);
  }

  #submit(type: number, sector: number, length: number, bytes: Uint8Array | null): GuestRequest {
    const slot = this.#slots.indexOf(null);
    if (slot < 0) throw new RangeError(`virtio-blk driver: ${slots} requests are under way`);
    if (length > bufferBytes)
      throw new RangeError(`virtio-blk driver: ${length} bytes, expected up to ${bufferBytes}`);
    const at = this.#buffers + slot * slotBytes;
    const head = chain * slot;
    this.#memory.write(at, bytesOf(encode(blkRequestHeader, { type, sector }), blkHeaderBytes));
    if (bytes !== null) this.#memory.write(at + bufferOffset, bytes);
    const data = {
      address: at + bufferOffset,
      length,
      write: Number(bytes === null),
      next: 1,
      link: head + 2,
    };
    const link = length === 0 ? head + 2 : head + 1;
    this.#describe(head, { address: at, length: blkHeaderBytes, next: 1, link });
    if (length > 0) this.#describe(head + 1, data);
    this.#describe(head + 2, { address: at + statusOffset, length: 1, write: 1 });
    const request: GuestRequest = { status: null, data: new Uint8Array(0) };
    this.#slots[slot] = { request, reads: bytes === null ? length : 0 };
    this.#memory.write(this.#available + 4 + 2 * (this.#nextAvailable % queueSize), bytesOf(head, 2));
    this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    this.#memory.write(this.#available, bytesOf(encode(virtqAvailable, { index: this.#nextAvailable }), 4));
    const { bar, offset } = this.#place(virtioStructure.notify);
    this.#access.writeBar(bar, offset + this.#notifyOffset * this.#notifyMultiplier, 2, 0);
    return request;
  }

  #describe(index: number, fields: Parameters<typeof encode<keyof typeof virtqDescriptor.fields>>[1]): void {
    this.#memory.write(this.#descriptors + 16 * index, bytesOf(encode(virtqDescriptor, fields), 16));
  }

  #findStructures(): void {
    const access = this.#access;
    for (
      let at = access.readConfig(configOffset.capabilities, 1);
      at !== 0;
      at = access.readConfig(at + 1, 1)
    ) {
      if (access.readConfig(at, 1) !== capabilityIds.vendor) continue;
      const { type, bar, offset } = decode(virtioCapability, this.#configWords(at, 4));
      this.#places.set(Number(type), { bar: Number(bar), offset: Number(offset) });
      if (type === virtioStructure.notify) {
        this.#notifyMultiplier = access.readConfig(at + notifyMultiplierOffset, 4);
      }
    }
  }

  #enableMsix({ addressLow, addressHigh, data }: MsiMessage): void {
    const access = this.#access;
    let at = access.readConfig(configOffset.capabilities, 1);
    while (at !== 0 && access.readConfig(at, 1) !== capabilityIds.msix) at = access.readConfig(at + 1, 1);
    const { tablebir, tableoffset } = decode(msixCapability, this.#configWords(at, 3));
    access.writeConfig(at, 4, access.readConfig(at, 4) | msix.EN_MASK | msix.FM_MASK);
    const address = (BigInt(addressHigh >>> 0) << 32n) | BigInt(addressLow >>> 0);
    const entry = toWords(encode(msixTableEntry, { address, data: data >>> 0 }), 128);
    for (const [i, word] of entry.entries())
      access.writeBar(Number(tablebir), Number(tableoffset) + 4 * i, 4, word);
    access.writeConfig(at, 4, access.readConfig(at, 4) & ~msix.FM_MASK);
  }

  #negotiate(): void {
    const { acknowledge, driver, featuresOk } = virtioStatus;
    this.#write(commonConfig.status, 1, 0);
    this.#write(commonConfig.status, 1, acknowledge | driver);
    const wanted = (1n << BigInt(virtioFeature.version1)) | (1n << BigInt(virtioFeature.blkFlush));
    for (const select of [0, 1]) {
      this.#write(commonConfig.deviceFeatureSelect, 4, select);
      this.#write(commonConfig.driverFeatureSelect, 4, select);
      const half = Number((wanted >> BigInt(32 * select)) & 0xffff_ffffn);
      this.#write(commonConfig.driverFeature, 4, this.#read(commonConfig.deviceFeature, 4) & half);
    }
    this.#write(commonConfig.status, 1, acknowledge | driver | featuresOk);
    if ((this.#read(commonConfig.status, 1) & featuresOk) === 0) {
      throw new Error("virtio-blk driver: the device refuses the features");
    }
  }

  #setUpQueue(): void {
    this.#write(commonConfig.queueSelect, 2, 0);
    this.#write(commonConfig.queueSize, 2, queueSize);
    this.#write(commonConfig.queueVector, 2, 0);
    if (this.#read(commonConfig.queueVector, 2) === noVector) {
      throw new Error("virtio-blk driver: the device has no vector for its queue");
    }
    const { queueDescriptors, queueAvailable, queueUsed } = commonConfig;
    for (const [register, address] of [
      [queueDescriptors, this.#descriptors],
      [queueAvailable, this.#available],
      [queueUsed, this.#used],
    ] as const) {
      this.#write(register, 4, address % 2 ** 32);
      this.#write(register + 4, 4, Math.floor(address / 2 ** 32));
    }
    this.#memory.write(this.#available, new Uint8Array(4));
    this.#memory.write(this.#used, new Uint8Array(4));
    this.#nextAvailable = this.#nextUsed = 0;
    this.#notifyOffset = this.#read(commonConfig.queueNotifyOffset, 2);
    this.#write(commonConfig.queueEnable, 2, 1);
  }

  #deviceConfig(): Uint8Array {
    const { bar, offset } = this.#place(virtioStructure.device);
    const bytes = new Uint8Array(blkConfig.width / 8);
    for (let at = 0; at < bytes.length; at += 4) {
      bytes.set(bytesOf(this.#access.readBar(bar, offset + at, 4), 4), at);
    }
    return bytes;
  }

  #configWords(at: number, count: number): bigint {
    let value = 0n;
    for (let i = count - 1; i >= 0; i--)
      value = (value << 32n) | BigInt(this.#access.readConfig(at + 4 * i, 4));
    return value;
  }

  #place(type: number): { readonly bar: number; readonly offset: number } {
    const place = this.#places.get(type);
    if (place === undefined) throw new Error(`virtio-blk driver: the device has no structure ${type}`);
    return place;
  }

  #read(register: number, width: 1 | 2 | 4): number {
    const { bar, offset } = this.#place(virtioStructure.common);
    return this.#access.readBar(bar, offset + register, width);
  }

  #write(register: number, width: 1 | 2 | 4, value: number): void {
    const { bar, offset } = this.#place(virtioStructure.common);
    this.#access.writeBar(bar, offset + register, width, value);
  }
}
