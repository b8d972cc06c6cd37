import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { IrqChip } from "./chip.ts";
import { type FlowHandler, IrqCommon, IrqData, IrqDescriptor } from "./descriptor.ts";
import { type AllocInfo, IrqDomain, type IrqDomainOptions } from "./domain.ts";

/** `gsi_top`: the numbers below belong to the pins of I/O APICs. */
export const firstDynamicIrq = 24;

export function irqDomainAdd(k: Kernel, options: IrqDomainOptions): IrqDomain {
  const domain = new IrqDomain(options);
  k.irqs.domains.push(domain);
  return domain;
}

/** @throws RangeError when interrupts are mapped in it. */
export function irqDomainRemove(k: Kernel, domain: IrqDomain): void {
  if (domain.mapped > 0)
    throw new RangeError(`domain ${domain.name}: ${domain.mapped} interrupts are mapped`);
  const at = k.irqs.domains.indexOf(domain);
  if (at >= 0) k.irqs.domains.splice(at, 1);
}

/**
 * `irq_domain_get_irq_data`: the level of an interrupt that belongs to a domain.
 * @throws RangeError when the interrupt has no such level.
 */
export function dataAt(k: Kernel, virq: number, domain: IrqDomain): IrqData {
  let data: IrqData | null = k.irqs.descriptors.get(virq)?.data ?? null;
  while (data !== null && data.domain !== domain) data = data.parent;
  if (data === null) throw new RangeError(`irq ${virq}: not mapped in domain ${domain.name}`);
  return data;
}

/** `irq_domain_set_hwirq_and_chip`: what a level's driver says of an interrupt while it is allocated. */
export function irqDomainSetHwirqAndChip(
  k: Kernel,
  domain: IrqDomain,
  virq: number,
  hwirq: number,
  chip: IrqChip,
  chipData: unknown = null,
): IrqData {
  const data = dataAt(k, virq, domain);
  data.hwirq = hwirq;
  data.chip = chip;
  data.chipData = chipData;
  return data;
}

/** `irq_domain_set_info`: as {@link irqDomainSetHwirqAndChip}, by the topmost level, which knows how to flow. */
export function irqDomainSetInfo(
  k: Kernel,
  domain: IrqDomain,
  virq: number,
  hwirq: number,
  chip: IrqChip,
  chipData: unknown,
  flow: FlowHandler,
): IrqData {
  k.irqs.descriptors.get(virq)!.flow = flow;
  return irqDomainSetHwirqAndChip(k, domain, virq, hwirq, chip, chipData);
}

const irqDomainAllocIrqsHierarchy = kernelFunction(
  "irq_domain_alloc_irqs_hierarchy",
  (k: Kernel, domain: IrqDomain, virq: number, count: number, info: AllocInfo): number =>
    domain.ops.alloc(k, domain, virq, count, info),
);

/** A level lets the one below allocate. @returns 0, or a negative errno. */
export const irqDomainAllocIrqsParent = kernelFunction(
  "irq_domain_alloc_irqs_parent",
  (k: Kernel, domain: IrqDomain, virq: number, count: number, info: AllocInfo): number =>
    domain.parent === null ? -errno.ENOSYS : irqDomainAllocIrqsHierarchy(k, domain.parent, virq, count, info),
);

/**
 * Allocates interrupts at every level from a domain down to VECTOR.
 * @param at the first Linux number; the first that are free unless told.
 * @returns the first Linux irq, or a negative errno.
 */
export const irqDomainAllocIrqs = kernelFunction(
  "__irq_domain_alloc_irqs",
  (k: Kernel, domain: IrqDomain, count: number, info: AllocInfo, at?: number): number => {
    const virq = allocateDescriptors(k, domain, count, at);
    if (virq < 0) return virq;
    const result = irqDomainAllocIrqsHierarchy(k, domain, virq, count, info);
    if (result < 0) {
      freeDescriptors(k, virq, count);
      return result;
    }
    countMapped(k, virq, count, 1);
    return virq;
  },
);

const irqDomainFreeIrqsHierarchy = kernelFunction(
  "irq_domain_free_irqs_hierarchy",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    for (let i = 0; i < count; i++) domain.ops.free(k, domain, virq + i, 1);
  },
  { inlined: true },
);

/** A level lets the one below free. */
export const irqDomainFreeIrqsParent = kernelFunction(
  "irq_domain_free_irqs_parent",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    if (domain.parent !== null) irqDomainFreeIrqsHierarchy(k, domain.parent, virq, count);
  },
);

/** What most drivers do to free: forget the level, and free the ones below. */
export const irqDomainFreeIrqsCommon = kernelFunction(
  "irq_domain_free_irqs_common",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    for (let i = 0; i < count; i++) irqDomainResetIrqData(dataAt(k, virq + i, domain));
    irqDomainFreeIrqsParent(k, domain, virq, count);
  },
);

/** `irq_domain_reset_irq_data` */
export function irqDomainResetIrqData(data: IrqData): void {
  data.hwirq = 0;
  data.chip = null;
  data.chipData = null;
}

export const irqDomainFreeIrqs = kernelFunction(
  "irq_domain_free_irqs",
  (k: Kernel, virq: number, count: number): void => {
    const top = k.irqs.descriptors.get(virq)?.data;
    if (top === undefined) return;
    countMapped(k, virq, count, -1);
    irqDomainFreeIrqsHierarchy(k, top.domain, virq, count);
    freeDescriptors(k, virq, count);
  },
);

/** Level by level from VECTOR up, so that each can rely on the one below; what fails is undone. */
const activateLevel = kernelFunction(
  "__irq_domain_activate_irq",
  (k: Kernel, data: IrqData, reserve: boolean): number => {
    if (data.parent !== null) {
      const result = activateLevel(k, data.parent, reserve);
      if (result !== 0) return result;
    }
    const result = data.domain.ops.activate?.(k, data.domain, data, reserve) ?? 0;
    if (result !== 0 && data.parent !== null) deactivateLevel(k, data.parent);
    return result;
  },
);

const deactivateLevel = kernelFunction(
  "__irq_domain_deactivate_irq",
  (k: Kernel, data: IrqData): void => {
    data.domain.ops.deactivate?.(k, data.domain, data);
    if (data.parent !== null) deactivateLevel(k, data.parent);
  },
  { tailCalls: { __irq_domain_deactivate_irq: true } },
);

/** @param reserve a placeholder may stand for the vector. @returns 0, or a negative errno. */
export const irqDomainActivateIrq = kernelFunction(
  "irq_domain_activate_irq",
  (k: Kernel, data: IrqData, reserve: boolean): number => {
    const result = data.common.activated ? 0 : activateLevel(k, data, reserve);
    if (result === 0) data.common.activated = true;
    return result;
  },
);

export const irqDomainDeactivateIrq = kernelFunction(
  "irq_domain_deactivate_irq",
  (k: Kernel, data: IrqData): void => {
    if (!data.common.activated) return;
    deactivateLevel(k, data);
    data.common.activated = false;
  },
);

/** `handle_bad_irq`: the flow of an interrupt that nobody has set up. */
export const handleBadIrq: FlowHandler = kernelFunction(
  "handle_bad_irq",
  (k: Kernel, descriptor: IrqDescriptor): void => {
    k.log.err(`unexpected IRQ trap at vector ${descriptor.irq.toString(16).padStart(2, "0")}`);
    k.cpu.apic.eoi();
  },
);

function allocateDescriptors(k: Kernel, domain: IrqDomain, count: number, at: number | undefined): number {
  const { descriptors } = k.irqs;
  const free = (first: number): boolean => {
    for (let i = 0; i < count; i++) if (descriptors.has(first + i)) return false;
    return true;
  };
  let virq = at ?? firstDynamicIrq;
  if (at !== undefined && !free(at)) return -errno.EEXIST;
  while (!free(virq)) virq++;
  for (let i = 0; i < count; i++) {
    const common = new IrqCommon(virq + i);
    common.affinity = k.cpus.map(({ number }) => number);
    common.masked = true;
    descriptors.set(virq + i, new IrqDescriptor(chainOf(domain, common), handleBadIrq));
  }
  return virq;
}

/** The levels of a new interrupt, the root's first made. */
function chainOf(domain: IrqDomain, common: IrqCommon): IrqData {
  return new IrqData(domain, domain.parent && chainOf(domain.parent, common), common);
}

function freeDescriptors(k: Kernel, virq: number, count: number): void {
  for (let i = 0; i < count; i++) k.irqs.descriptors.delete(virq + i);
}

function countMapped(k: Kernel, virq: number, count: number, by: 1 | -1): void {
  for (let i = 0; i < count; i++) {
    let data: IrqData | null = k.irqs.descriptors.get(virq + i)?.data ?? null;
    for (; data !== null; data = data.parent) data.domain.mapped += by;
  }
}
