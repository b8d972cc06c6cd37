import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { irqSetupAffinity } from "./affinity.ts";
import { chipFlags } from "./chip.ts";
import type { IrqAction, IrqDescriptor, IrqHandler } from "./descriptor.ts";
import { maskIrq, unmaskIrq } from "./flow.ts";
import { irqDomainActivateIrq, irqDomainDeactivateIrq } from "./hierarchy.ts";
import { firstWith } from "./parent.ts";

export { irqSetAffinity, irqSetVcpuAffinity } from "./affinity.ts";

/** The real vector in place of the placeholder. */
const irqActivate = kernelFunction(
  "irq_activate",
  (k: Kernel, { data, common }: IrqDescriptor): number =>
    common.managed ? 0 : irqDomainActivateIrq(k, data, false),
  { tailCalls: { irq_domain_activate_irq: true } },
);

const irqEnable = kernelFunction("irq_enable", (k: Kernel, descriptor: IrqDescriptor): void => {
  unmaskIrq(k, descriptor);
});

const irqStartupInner = kernelFunction("__irq_startup", (k: Kernel, descriptor: IrqDescriptor): void => {
  irqEnable(k, descriptor);
  descriptor.common.started = true;
});

const irqStartup = kernelFunction("irq_startup", (k: Kernel, descriptor: IrqDescriptor): void => {
  const before = ((descriptor.data.chip?.flags ?? 0) & chipFlags.IRQCHIP_AFFINITY_PRE_STARTUP) !== 0;
  if (before) irqSetupAffinity(k, descriptor);
  irqStartupInner(k, descriptor);
  if (!before) irqSetupAffinity(k, descriptor);
});

const setupIrq = kernelFunction(
  "__setup_irq",
  (k: Kernel, descriptor: IrqDescriptor, action: IrqAction): number => {
    if (descriptor.data.chip === null) return -errno.ENOSYS;
    if (descriptor.action !== null) return -errno.EBUSY;
    const result = irqActivate(k, descriptor);
    if (result !== 0) return result;
    descriptor.action = action;
    irqStartup(k, descriptor);
    return 0;
  },
);

/** `request_irq`, which is inline. @returns 0, or a negative errno. */
export const requestIrq = kernelFunction(
  "request_threaded_irq",
  (k: Kernel, irq: number, handler: IrqHandler, name: string, cookie: unknown): number => {
    const descriptor = k.irqs.descriptors.get(irq);
    return descriptor === undefined ? -errno.EINVAL : setupIrq(k, descriptor, { handler, name, cookie });
  },
);

const irqShutdown = kernelFunction("irq_shutdown", (k: Kernel, descriptor: IrqDescriptor): void => {
  if (!descriptor.common.started) return;
  maskIrq(k, descriptor);
  descriptor.common.started = false;
});

/** Gives the interrupt up that was requested with the same cookie. @returns its name, null if there was none. */
export const freeIrq = kernelFunction(
  "free_irq",
  (k: Kernel, irq: number, cookie: unknown): string | null => {
    const descriptor = k.irqs.descriptors.get(irq);
    const action = descriptor?.action;
    if (descriptor === undefined || !action || action.cookie !== cookie) {
      k.log.warn(`Trying to free already-free IRQ ${irq}`);
      return null;
    }
    descriptor.action = null;
    descriptor.pending = false;
    irqShutdown(k, descriptor);
    irqDomainDeactivateIrq(k, descriptor.data);
    return action.name;
  },
);

/** Keeps an interrupt from its handler; what arrives meanwhile is remembered. */
export const disableIrq = kernelFunction("disable_irq", (k: Kernel, irq: number): void => {
  const descriptor = k.irqs.descriptors.get(irq);
  if (descriptor === undefined) return;
  maskIrq(k, descriptor);
  descriptor.common.started = false;
});

export const enableIrq = kernelFunction("enable_irq", (k: Kernel, irq: number): void => {
  const descriptor = k.irqs.descriptors.get(irq);
  if (descriptor?.action == null) return;
  irqStartup(k, descriptor);
  if (descriptor.pending) irqRetrigger(k, irq);
});

/** Sends an interrupt again to the CPU that it goes to. @returns whether some level could. */
export function irqRetrigger(k: Kernel, irq: number): boolean {
  const level = firstWith(k.irqs.descriptors.get(irq)?.data ?? null, "retrigger");
  return level?.chip?.retrigger?.(k, level) ?? false;
}
