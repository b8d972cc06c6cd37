import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { type VcpuInfo, setMask } from "./chip.ts";
import type { IrqData, IrqDescriptor } from "./descriptor.ts";
import { firstWith } from "./parent.ts";

const irqDoSetAffinity = kernelFunction(
  "irq_do_set_affinity",
  (k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number => {
    const online = cpus.filter((cpu) => k.cpus[cpu]?.online === true);
    const wanted = force ? cpus : online;
    if (wanted.length === 0) return -errno.EINVAL;
    const result = data.chip!.setAffinity!(k, data, wanted, force);
    if (result !== setMask.ok && result !== setMask.okDone) return result;
    data.common.affinity = [...cpus];
    return 0;
  },
);

const irqSetAffinityLocked = kernelFunction(
  "irq_set_affinity_locked",
  (k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number => {
    if (data.chip?.setAffinity === undefined) return -errno.EINVAL;
    const { common } = data;
    if (!common.activated) {
      // What is not active moves when it is activated.
      common.affinity = [...cpus];
      common.effective = [...cpus];
    } else {
      const result = irqDoSetAffinity(k, data, cpus, force);
      if (result === -errno.EBUSY && !force) common.pendingMove = [...cpus];
      else if (result !== 0) return result;
    }
    common.affinitySet = true;
    return 0;
  },
);

/** `irq_move_irq`: an interrupt has arrived that waits to be moved. Where that still cannot be, it goes on waiting. */
export const irqMoveMaskedIrq = kernelFunction("irq_move_masked_irq", (k: Kernel, irq: number): void => {
  const { data, common } = k.irqs.descriptors.get(irq)!;
  const cpus = common.pendingMove;
  if (cpus === null) return;
  common.pendingMove = null;
  if (irqDoSetAffinity(k, data, cpus, false) === -errno.EBUSY) common.pendingMove = cpus;
});

const irqSetAffinityInner = kernelFunction(
  "__irq_set_affinity",
  (k: Kernel, irq: number, cpus: readonly number[], force: boolean): number => {
    const descriptor = k.irqs.descriptors.get(irq);
    return descriptor === undefined ? -errno.EINVAL : irqSetAffinityLocked(k, descriptor.data, cpus, force);
  },
);

/** @param cpus Linux CPU numbers that it may go to. @returns 0, or a negative errno. */
export const irqSetAffinity = kernelFunction(
  "irq_set_affinity",
  (k: Kernel, irq: number, cpus: readonly number[]): number => irqSetAffinityInner(k, irq, cpus, false),
  { inlined: { below: "5.13" }, tailCalls: { __irq_set_affinity: true } },
);

/** Gives an interrupt that starts the affinity that was asked for, or the default. */
export const irqSetupAffinity = kernelFunction(
  "irq_setup_affinity",
  (k: Kernel, descriptor: IrqDescriptor): number => {
    const { data, common } = descriptor;
    if (data.chip?.setAffinity === undefined) return 0;
    const online = k.cpus.filter((cpu) => cpu.online).map(({ number }) => number);
    const asked = common.affinitySet ? common.affinity.filter((cpu) => online.includes(cpu)) : online;
    return irqDoSetAffinity(k, data, asked.length > 0 ? asked : online, false);
  },
);

/** @param info whom the interrupt is posted to; null for the host. @returns 0, or a negative errno. */
export const irqSetVcpuAffinity = kernelFunction(
  "irq_set_vcpu_affinity",
  (k: Kernel, irq: number, info: VcpuInfo | null): number => {
    const level = firstWith(k.irqs.descriptors.get(irq)?.data ?? null, "setVcpuAffinity");
    return level?.chip?.setVcpuAffinity?.(k, level, info) ?? -errno.ENOSYS;
  },
);
