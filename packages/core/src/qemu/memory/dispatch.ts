import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import type { AccessSize, MemoryRegion, RegionOps } from "./region.ts";

/** `MemTxResult` */
export type TransactionResult = "ok" | "error" | "decodeError";

/** A read's outcome; what nobody answers reads as zero. */
export interface ReadResult {
  readonly result: TransactionResult;
  readonly value: bigint;
}

type Accessor = (
  vmm: Vmm,
  region: MemoryRegion,
  ops: RegionOps,
  access: { readonly offset: number; readonly size: AccessSize; readonly shift: number },
  value: bigint,
) => bigint;

/** Puts the part of the value that one call takes to the device. */
const memoryRegionWriteAccessor = qemuFunction<
  Parameters<Accessor> extends [Vmm, ...infer A] ? A : never,
  bigint
>("memory_region_write_accessor", (vmm, _region, ops, { offset, size, shift }, value) => {
  const part = shift >= 0 ? value >> BigInt(shift) : value << BigInt(-shift);
  ops.write(vmm, offset, size, BigInt.asUintN(8 * size, part));
  return value;
});

/** Adds what one call reads to the value. */
const memoryRegionReadAccessor = qemuFunction<
  Parameters<Accessor> extends [Vmm, ...infer A] ? A : never,
  bigint
>(
  "memory_region_read_accessor",
  (vmm, _region, ops, { offset, size, shift }, value) =>
    value | (BigInt.asUintN(8 * size, BigInt(ops.read(vmm, offset, size))) << BigInt(shift)),
);

/** Calls the device with the sizes that its functions take, once or several times, and not from within itself. */
const accessWithAdjustedSize = qemuFunction(
  "access_with_adjusted_size",
  (
    vmm: Vmm,
    region: MemoryRegion,
    ops: RegionOps,
    offset: number,
    size: AccessSize,
    value: bigint,
    accessor: Accessor,
  ): ReadResult => {
    if (region.engaged) return { result: "error", value: 0n };
    region.engaged = true;
    try {
      const { min = 1, max = 4 } = ops.implemented ?? {};
      const step = Math.max(Math.min(size, max), min) as AccessSize;
      let total = value;
      for (let at = 0; at < size; at += step) {
        total = accessor(vmm, region, ops, { offset: offset + at, size: step, shift: 8 * at }, total);
      }
      return { result: "ok", value: BigInt.asUintN(8 * size, total) };
    } finally {
      region.engaged = false;
    }
  },
);

const memoryRegionAccessValid = qemuFunction(
  "memory_region_access_valid",
  (_vmm: Vmm, ops: RegionOps, offset: number, size: AccessSize): boolean => {
    const { unaligned = false, min = 1, max } = ops.valid ?? {};
    if (!unaligned && offset % size !== 0) return false;
    return max === undefined || (size >= min && size <= max);
  },
  inlined,
);

const decodeError: ReadResult = { result: "decodeError", value: 0n };

const memoryRegionRamDeviceWrite = qemuFunction(
  "memory_region_ram_device_write",
  (_vmm: Vmm, region: MemoryRegion, offset: number, size: AccessSize, value: bigint): void => {
    if (region.memory?.kind !== "device") return;
    for (let at = 0; at < size; at += 4) {
      const part = Number(BigInt.asUintN(32, value >> BigInt(8 * at)));
      region.memory.write(offset + at, size === 8 ? 4 : size, part);
    }
  },
);

const memoryRegionRamDeviceRead = qemuFunction(
  "memory_region_ram_device_read",
  (_vmm: Vmm, region: MemoryRegion, offset: number, size: AccessSize): bigint => {
    if (region.memory?.kind !== "device") return 0n;
    let value = 0n;
    for (let at = 0; at < size; at += 4) {
      const part = region.memory.read(offset + at, size === 8 ? 4 : size);
      value |= BigInt(part) << BigInt(8 * at);
    }
    return value;
  },
);

/** Mapped registers, where an access reaches QEMU all the same: a trapped range shares their page. */
const ramDeviceOps = (region: MemoryRegion): RegionOps => ({
  read: (vmm, offset, size) => memoryRegionRamDeviceRead(vmm, region, offset, size),
  write: (vmm, offset, size, value) => memoryRegionRamDeviceWrite(vmm, region, offset, size, value),
  implemented: { max: 8 },
});

export const memoryRegionDispatchWrite = qemuFunction(
  "memory_region_dispatch_write",
  (vmm: Vmm, region: MemoryRegion, offset: number, size: AccessSize, value: bigint): TransactionResult => {
    const ops = region.ops ?? ramDeviceOps(region);
    if (!memoryRegionAccessValid(vmm, ops, offset, size)) return "decodeError";
    return accessWithAdjustedSize(vmm, region, ops, offset, size, value, memoryRegionWriteAccessor).result;
  },
);

const memoryRegionDispatchRead1 = qemuFunction(
  "memory_region_dispatch_read1",
  (vmm: Vmm, region: MemoryRegion, ops: RegionOps, offset: number, size: AccessSize): ReadResult =>
    accessWithAdjustedSize(vmm, region, ops, offset, size, 0n, memoryRegionReadAccessor),
  inlined,
);

export const memoryRegionDispatchRead = qemuFunction(
  "memory_region_dispatch_read",
  (vmm: Vmm, region: MemoryRegion, offset: number, size: AccessSize): ReadResult => {
    const ops = region.ops ?? ramDeviceOps(region);
    if (!memoryRegionAccessValid(vmm, ops, offset, size)) return decodeError;
    return memoryRegionDispatchRead1(vmm, region, ops, offset, size);
  },
);
