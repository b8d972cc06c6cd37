import type { Draft } from "../host/draft.ts";
import type { LinuxInterrupt } from "../host/interrupt.ts";
import { InputError } from "../input-error.ts";
import { irqDescriptors } from "./irq-descriptors.ts";
import { IrqLevels } from "./irq-levels.ts";
import { IrqSources } from "./irq-source.ts";
import type { KernelStruct } from "./kernel-struct.ts";
import { perCpu, processorsIn } from "./per-cpu.ts";
import { type KernelWalk, placeOf } from "./walk-context.ts";
import { dword } from "./words.ts";

const actionLimit = 256;
/** Interrupts whose descriptors may be broken before the walk believes none of them. */
const brokenLimit = 64;

/** Bits of irq_common_data.state_use_accessors, as they are where the kernel's BTF has no enumerators. */
const stateBits = { IRQD_IRQ_MASKED: 1 << 17, IRQD_IRQ_STARTED: 1 << 22 } as const;

/** Linux's interrupts: handlers, counts, affinity, domains, message, vector, and the remapping entry of each. */
export function walkInterrupts(walk: KernelWalk): void {
  const { kernel } = walk;
  const levels = new IrqLevels(kernel);
  const sources = new IrqSources(walk);
  const offsets = walk.processors.map((cpu) => perCpu(kernel, cpu, 0n));
  const masks = {
    masked: kernel.types.enumerator("IRQD_IRQ_MASKED") ?? stateBits.IRQD_IRQ_MASKED,
    started: kernel.types.enumerator("IRQD_IRQ_STARTED") ?? stateBits.IRQD_IRQ_STARTED,
  };
  let broken = 0;
  for (const [irq, descriptor] of irqDescriptors(kernel)) {
    try {
      walkInterrupt(irq, descriptor);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (++broken <= brokenLimit) walk.missing(`interrupt ${irq}`, error.message);
    }
  }
  if (broken > brokenLimit) walk.missing(`${broken - brokenLimit} more interrupts`, "as those before");
  sources.finish();

  function walkInterrupt(irq: number, descriptor: KernelStruct): void {
    const chain = levels.of(descriptor.struct("irq_data"));
    const names = actionsOf(descriptor);
    const outer = chain[0]!;
    const place = placeOf(descriptor);
    const found: Draft<LinuxInterrupt> = walk.draft.interrupt(irq);
    found.actions ??= walk.fact(names, place);
    found.chip ??= walk.fact(outer.chip, place);
    found.hwirq ??= walk.fact(outer.hwirq, place);
    const flow = descriptor.string("name");
    if (flow !== "") found.flow ??= walk.fact(flow, place);
    found.domains ??= walk.fact(
      chain.map(({ domain, chip, hwirq }) => ({ domain, chip, hwirq })),
      place,
    );
    const counts = countsOf(descriptor);
    if (counts !== undefined) found.counts ??= walk.fact(counts, place);
    const common = descriptor.struct("irq_common_data");
    found.affinity ??= walk.fact(processorsIn(common, "affinity"), place);
    if (common.has("effective_affinity")) {
      found.effective ??= walk.fact(processorsIn(common, "effective_affinity"), place);
    }
    const state = common.u32("state_use_accessors");
    found.state ??= walk.fact(state, place);
    found.masked ??= walk.fact((state & masks.masked) !== 0, place);
    found.started ??= walk.fact((state & masks.started) !== 0, place);
    sources.add(irq, found, chain, common, place);
  }

  /** A pointer to a per-CPU number, since 6.10 to a per-CPU `struct irqstat` that begins with it. */
  function countsOf(descriptor: KernelStruct): number[] | undefined {
    const address = descriptor.pointer("kstat_irqs");
    if (address === 0n) return undefined;
    return offsets.map((offset) => dword(kernel.memory.read(BigInt.asUintN(64, address + offset), 4), 0));
  }
}

function actionsOf(descriptor: KernelStruct): string[] {
  const names: string[] = [];
  for (let action = descriptor.follow("action"); action !== undefined; action = action.follow("next")) {
    if (names.length === actionLimit) {
      throw new InputError(`${placeOf(descriptor)}: expected at most ${actionLimit} handlers`);
    }
    names.push(action.string("name"));
  }
  return names;
}
