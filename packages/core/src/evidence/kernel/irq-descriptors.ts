import { InputError } from "../input-error.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct, typeOf } from "./kernel-struct.ts";
import { mapleTreeOf, xarrayOf } from "./trees.ts";
import { dword } from "./words.ts";

/** Interrupts that are believed; Linux has NR_IRQS of them, 524,544 with 8,192 processors. */
const limit = 1 << 20;

/**
 * Every interrupt descriptor of a kernel with its number: in a maple tree since 6.5, in a radix tree before, in one
 * array where CONFIG_SPARSE_IRQ is off.
 */
export function* irqDescriptors(kernel: Kernel): Generator<readonly [irq: number, descriptor: KernelStruct]> {
  const type = typeOf(kernel, "irq_desc");
  const maple = kernel.symbols.address("sparse_irqs");
  const radix = kernel.symbols.address("irq_desc_tree");
  const array = kernel.symbols.address("irq_desc");
  if (maple !== undefined || radix !== undefined) {
    const entries = maple === undefined ? xarrayOf(kernel, radix!) : mapleTreeOf(kernel, maple);
    let count = 0;
    for (const [irq, address] of entries) {
      if (++count > limit || irq > limit) {
        throw new InputError(`${kernel.memory.name}: expected at most ${limit} interrupt descriptors`);
      }
      yield [irq, new KernelStruct(kernel, type, address)];
    }
    return;
  }
  // total_nr_irqs since 6.13.
  const length = kernel.symbols.address("nr_irqs") ?? kernel.symbols.address("total_nr_irqs");
  if (array === undefined || length === undefined) {
    throw new InputError(
      `${kernel.memory.name}: kernel ${kernel.release}: expected the symbol sparse_irqs, irq_desc_tree or irq_desc, as a kernel with CONFIG_KALLSYMS_ALL has it`,
    );
  }
  const count = Math.min(dword(kernel.memory.read(length, 4), 0), limit);
  for (let irq = 0; irq < count; irq++)
    yield [irq, new KernelStruct(kernel, type, array + BigInt(irq * type.size))];
}
