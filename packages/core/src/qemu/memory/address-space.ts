import { bytesOf, valueOf } from "../little-endian.ts";
import { qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { type TransactionResult, memoryRegionDispatchRead, memoryRegionDispatchWrite } from "./dispatch.ts";
import { type FlatRange, FlatView } from "./flat-view.ts";
import type { AccessSize, MemoryRegion } from "./region.ts";

/** `AddressSpace`: a tree of regions, and the view of it that is in force. */
export class AddressSpace {
  readonly root: MemoryRegion;
  #view: FlatView | null = null;

  constructor(root: MemoryRegion) {
    this.root = root;
  }

  get view(): FlatView {
    this.#view ??= new FlatView(this.root);
    return this.#view;
  }

  /** The tree has changed: `memory_region_transaction_commit`. */
  commit(): void {
    this.#view = null;
  }
}

/** The most bytes from an address that one access to a device takes. */
function accessSize({ region }: FlatRange, offset: number, length: number): AccessSize {
  const most = region.ops?.valid?.max ?? (region.ops === null ? 8 : 4);
  let size = most;
  while (size > length || (region.ops?.implemented?.unaligned !== true && offset % size !== 0)) size /= 2;
  return size;
}

/** What came of one access, and how many bytes it took. */
interface Access {
  readonly result: TransactionResult;
  readonly length: number;
}

/** One access after the other until all bytes are through; the last that failed tells. */
function inSteps(bytes: Uint8Array, access: (at: number, rest: Uint8Array) => Access): TransactionResult {
  let result: TransactionResult = "ok";
  for (let at = 0; at < bytes.length;) {
    const one = access(at, bytes.subarray(at));
    if (one.result !== "ok") ({ result } = one);
    at += one.length;
  }
  return result;
}

const flatviewWriteContinue = qemuFunction(
  "flatview_write_continue",
  (vmm: Vmm, view: FlatView, address: number, bytes: Uint8Array): TransactionResult =>
    inSteps(bytes, (at, rest) => flatviewWriteContinueStep(vmm, view, address + at, rest)),
);

/** One access to a device, or as many bytes as one range of memory has. */
const flatviewWriteContinueStep = qemuFunction(
  "flatview_write_continue_step",
  (vmm: Vmm, view: FlatView, address: number, bytes: Uint8Array): Access => {
    const range = view.find(address);
    if (range === undefined) return { result: "decodeError", length: 1 };
    const offset = range.offset + address - range.from;
    const { memory } = range.region;
    if (memory?.kind === "ram") {
      const length = Math.min(bytes.length, range.to - address);
      memory.ram.write(offset, bytes.subarray(0, length));
      return { result: "ok", length };
    }
    const size = accessSize(range, offset, bytes.length);
    const value = valueOf(bytes.subarray(0, size));
    return { result: memoryRegionDispatchWrite(vmm, range.region, offset, size, value), length: size };
  },
);

const flatviewWrite = qemuFunction(
  "flatview_write",
  (vmm: Vmm, view: FlatView, address: number, bytes: Uint8Array): TransactionResult =>
    flatviewWriteContinue(vmm, view, address, bytes),
);

/** Writes bytes as a CPU does, or a device by DMA. */
export const addressSpaceWrite = qemuFunction(
  "address_space_write",
  (vmm: Vmm, space: AddressSpace, address: number, bytes: Uint8Array): TransactionResult =>
    flatviewWrite(vmm, space.view, address, bytes),
);

const flatviewReadContinueStep = qemuFunction(
  "flatview_read_continue_step",
  (vmm: Vmm, view: FlatView, address: number, target: Uint8Array): Access => {
    const range = view.find(address);
    if (range === undefined) return { result: "decodeError", length: 1 };
    const offset = range.offset + address - range.from;
    const { memory } = range.region;
    if (memory?.kind === "ram") {
      const length = Math.min(target.length, range.to - address);
      target.set(memory.ram.read(offset, length));
      return { result: "ok", length };
    }
    const size = accessSize(range, offset, target.length);
    const { result, value } = memoryRegionDispatchRead(vmm, range.region, offset, size);
    target.set(bytesOf(value, size));
    return { result, length: size };
  },
);

const flatviewReadContinue = qemuFunction(
  "flatview_read_continue",
  (vmm: Vmm, view: FlatView, address: number, target: Uint8Array): TransactionResult =>
    inSteps(target, (at, rest) => flatviewReadContinueStep(vmm, view, address + at, rest)),
);

const flatviewRead = qemuFunction(
  "flatview_read",
  (vmm: Vmm, view: FlatView, address: number, target: Uint8Array): TransactionResult =>
    flatviewReadContinue(vmm, view, address, target),
);

/** Fills `target`; bytes that nobody answers read as zero. */
export const addressSpaceReadFull = qemuFunction(
  "address_space_read_full",
  (vmm: Vmm, space: AddressSpace, address: number, target: Uint8Array): TransactionResult =>
    flatviewRead(vmm, space.view, address, target),
);

/** What a vCPU's access that left guest mode comes to. */
export const addressSpaceRw = qemuFunction(
  "address_space_rw",
  (vmm: Vmm, space: AddressSpace, address: number, bytes: Uint8Array, isWrite: boolean): TransactionResult =>
    isWrite
      ? addressSpaceWrite(vmm, space, address, bytes)
      : addressSpaceReadFull(vmm, space, address, bytes),
);

const addressSpaceStlInternal = qemuFunction(
  "address_space_stl_internal",
  (vmm: Vmm, space: AddressSpace, address: number, value: number): TransactionResult => {
    const range = space.view.find(address);
    if (range === undefined) return "decodeError";
    const offset = range.offset + address - range.from;
    const { memory } = range.region;
    if (memory?.kind === "ram" && address + 4 <= range.to) {
      memory.ram.write(offset, bytesOf(value >>> 0, 4));
      return "ok";
    }
    return memoryRegionDispatchWrite(vmm, range.region, offset, 4, BigInt(value >>> 0));
  },
);

/** A store of one dword, little-endian: every MSI is one. */
export const addressSpaceStlLe = qemuFunction(
  "address_space_stl_le",
  (vmm: Vmm, space: AddressSpace, address: number, value: number): TransactionResult =>
    addressSpaceStlInternal(vmm, space, address, value),
);
