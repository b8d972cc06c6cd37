import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { lapicController } from "./apic-chip.ts";
import type { IrqData } from "./descriptor.ts";
import type { AllocInfo, IrqDomain, IrqDomainOps } from "./domain.ts";
import { dataAt, irqDomainAdd, irqDomainResetIrqData } from "./hierarchy.ts";
import { initVectorCleanup } from "./vector-cleanup.ts";
import { apicUpdateIrqCfg, assignVectorLocked, clearIrqVector } from "./vector-move.ts";
import { ApicChipData, VectorState, chipDataOf } from "./vector-state.ts";
import { vectors } from "./vectors.ts";

export { apicDriver } from "./apic-driver.ts";
export { vectorConfig } from "./vector-state.ts";
export { vectorScheduleCleanup } from "./vector-move.ts";

/** The placeholder on the first CPU: a well-formed destination for an interrupt that must not come. */
const assignPlaceholder = kernelFunction(
  "vector_assign_managed_shutdown",
  (k: Kernel, data: IrqData): void => {
    apicUpdateIrqCfg(k, data, vectors.MANAGED_IRQ_SHUTDOWN, online(k)[0]!);
  },
);

const reserveIrqVectorLocked = kernelFunction(
  "reserve_irq_vector_locked",
  (k: Kernel, data: IrqData): void => {
    const chip = chipDataOf(data);
    k.irqs.vectors!.matrix.reserve();
    chip.canReserve = true;
    chip.hasReserved = true;
    data.common.canReserve = true;
    assignPlaceholder(k, data);
  },
);

const x86VectorAllocIrqs = kernelFunction(
  "x86_vector_alloc_irqs",
  (k: Kernel, domain: IrqDomain, virq: number, count: number, _info: AllocInfo): number => {
    for (let i = 0; i < count; i++) {
      const data = dataAt(k, virq + i, domain);
      data.chip = lapicController;
      data.chipData = new ApicChipData(virq + i);
      data.hwirq = virq + i;
      reserveIrqVectorLocked(k, data);
    }
    return 0;
  },
);

const x86VectorFreeIrqs = kernelFunction(
  "x86_vector_free_irqs",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    for (let i = 0; i < count; i++) {
      const data = dataAt(k, virq + i, domain);
      if (data.chipData === null) continue;
      clearIrqVector(k, data);
      if (chipDataOf(data).hasReserved) k.irqs.vectors!.matrix.removeReserved();
      irqDomainResetIrqData(data);
    }
  },
);

const activateReserved = kernelFunction("activate_reserved", (k: Kernel, data: IrqData): number => {
  const chip = chipDataOf(data);
  const all = online(k);
  const wanted = all.filter((cpu) => data.common.affinity.includes(cpu));
  const result = assignVectorLocked(k, data, wanted) && assignVectorLocked(k, data, all);
  if (result !== 0) return result;
  chip.hasReserved = false;
  if (!data.common.canReserve) chip.canReserve = false;
  if (!data.common.affinity.includes(chip.cpu)) {
    k.log.warn(`irq ${data.irq}: Affinity broken due to vector space exhaustion.`);
  }
  return 0;
});

const x86VectorActivate = kernelFunction(
  "x86_vector_activate",
  (k: Kernel, _domain: IrqDomain, data: IrqData, reserve: boolean): number => {
    const chip = chipDataOf(data);
    if (!chip.canReserve) return 0;
    if (reserve) assignPlaceholder(k, data);
    else if (chip.hasReserved) return activateReserved(k, data);
    return 0;
  },
);

const x86VectorDeactivate = kernelFunction(
  "x86_vector_deactivate",
  (k: Kernel, _domain: IrqDomain, data: IrqData): void => {
    const chip = chipDataOf(data);
    if (!chip.canReserve || chip.hasReserved) return;
    clearIrqVector(k, data);
    reserveIrqVectorLocked(k, data);
  },
);

const x86VectorDomainOps: IrqDomainOps = {
  alloc: x86VectorAllocIrqs,
  free: x86VectorFreeIrqs,
  activate: x86VectorActivate,
  deactivate: x86VectorDeactivate,
};

/** The root of the hierarchy, made when the kernel starts. */
export const initVectorDomain = kernelFunction("arch_early_irq_init", (k: Kernel): IrqDomain => {
  const domain = irqDomainAdd(k, { name: "VECTOR", ops: x86VectorDomainOps });
  k.irqs.vectors = new VectorState(k, domain);
  initVectorCleanup(k);
  return domain;
});

export function vectorDomain(k: Kernel): IrqDomain {
  return k.irqs.vectors?.domain ?? initVectorDomain(k);
}

/** Vectors of all CPUs together: what is left, promised and taken. */
export function vectorCounts(k: Kernel): { available: number; reserved: number; allocated: number } {
  vectorDomain(k);
  const { available, reserved, allocated } = k.irqs.vectors!.matrix;
  return { available, reserved, allocated };
}

function online(k: Kernel): number[] {
  return k.cpus.filter((cpu) => cpu.online).map(({ number }) => number);
}
