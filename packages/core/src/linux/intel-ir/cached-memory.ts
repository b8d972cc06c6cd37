import { fromWords, toWords } from "../../spec/codec.ts";
import type { Kernel } from "../kernel.ts";

// Memory as the kernel's CPU sees it: through its cache, where the machine has one that is not always snooped.

export function load32(k: Kernel, address: number): number {
  return (k.cpuCache ?? k.memory).read32(address);
}

export function store32(k: Kernel, address: number, value: number): void {
  (k.cpuCache ?? k.memory).write32(address, value);
}

/** @param width in bits, a multiple of 32. */
export function load(k: Kernel, address: number, width: number): bigint {
  const words = Int32Array.from({ length: width / 32 }, (_, i) => load32(k, address + 4 * i));
  return fromWords(words, 0, width);
}

/** @param width in bits, a multiple of 32. */
export function store(k: Kernel, address: number, value: bigint, width: number): void {
  for (const [i, word] of toWords(value, width).entries()) store32(k, address + 4 * i, word);
}
