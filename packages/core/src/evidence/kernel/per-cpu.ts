import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";
import { type KernelStruct, readQuad } from "./kernel-struct.ts";
import { dword } from "./words.ts";

/** CONFIG_NR_CPUS at most. */
const cpuLimit = 8192;

/** The address of one processor's copy of a per-CPU variable. @throws InputError when the kernel has no such copies. */
export function perCpu(kernel: Kernel, cpu: number, address: bigint): bigint {
  const offsets = symbolOf(kernel, "__per_cpu_offset");
  if (!(cpu >= 0 && cpu < cpuLimit)) {
    throw new InputError(`${kernel.memory.name}: expected a processor below ${cpuLimit}, found ${cpu}`);
  }
  return BigInt.asUintN(64, address + readQuad(kernel, offsets + BigInt(cpu * 8)));
}

/** The processors of a kernel that are possible, present or online, in ascending order. */
export function processorsOf(kernel: Kernel, which: "possible" | "present" | "online"): number[] {
  const count = processorCount(kernel);
  return firstBits(kernel.memory.read(symbolOf(kernel, `__cpu_${which}_mask`), maskBytes(count)), count);
}

/**
 * The processors in a mask that is a member of a structure: a `struct cpumask`, or a `cpumask_var_t`, which
 * CONFIG_CPUMASK_OFFSTACK makes a pointer; none when it points nowhere.
 */
export function processorsIn(structure: KernelStruct, ...names: readonly string[]): number[] {
  const { kernel } = structure;
  const { pointer, size } = structure.member(...names);
  const count = processorCount(kernel);
  const bytes = maskBytes(count);
  if (!pointer) return firstBits(structure.bytes(...names).subarray(0, Math.min(size, bytes)), count);
  const address = structure.pointer(...names);
  return address === 0n ? [] : firstBits(kernel.memory.read(address, bytes), count);
}

/** The numbers of the bits that are set, in ascending order; bit 0 is the lowest of the first byte. */
export function bitsOf(bitmap: Uint8Array): number[] {
  const bits: number[] = [];
  for (const [i, byte] of bitmap.entries()) {
    for (let bit = 0; byte >> bit !== 0; bit++) {
      if (((byte >> bit) & 1) === 1) bits.push(i * 8 + bit);
    }
  }
  return bits;
}

/** A mask of all processors has more bits than there are processors. */
function firstBits(bitmap: Uint8Array, count: number): number[] {
  return bitsOf(bitmap).filter((bit) => bit < count);
}

/** Of a mask that was allocated: whole words for the processors that there can be. */
function maskBytes(count: number): number {
  return Math.ceil(count / 64) * 8;
}

/** How many processors there can be. */
function processorCount(kernel: Kernel): number {
  const symbol = kernel.symbols.address("nr_cpu_ids");
  // CONFIG_FORCE_NR_CPUS makes it a constant, and masks as long as their type.
  if (symbol === undefined) return Math.min((kernel.types.type("cpumask")?.size ?? 8) * 8, cpuLimit);
  const count = dword(kernel.memory.read(symbol, 4), 0);
  if (count > 0 && count <= cpuLimit) return count;
  throw new InputError(`${kernel.memory.name}: nr_cpu_ids: expected 1 to ${cpuLimit}, found ${count}`);
}

function symbolOf(kernel: Kernel, name: string): bigint {
  const address = kernel.symbols.address(name);
  if (address !== undefined) return address;
  throw new InputError(
    `${kernel.memory.name}: expected the symbol ${name} in kernel ${kernel.release}, as one with CONFIG_SMP and CONFIG_KALLSYMS_ALL has it`,
  );
}
