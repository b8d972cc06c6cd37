import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { IrqChip, MsiMessage, VcpuInfo } from "./chip.ts";
import type { IrqData } from "./descriptor.ts";

// Levels that have nothing to add hand on to the one below.

export const irqChipAckParent = kernelFunction("irq_chip_ack_parent", (k: Kernel, data: IrqData): void => {
  const parent = data.parent!;
  parent.chip!.ack!(k, parent);
});

export const irqChipSetVcpuAffinityParent = kernelFunction(
  "irq_chip_set_vcpu_affinity_parent",
  (k: Kernel, data: IrqData, info: VcpuInfo | null): number => {
    const { parent } = data;
    return parent?.chip?.setVcpuAffinity?.(k, parent, info) ?? -errno.ENOSYS;
  },
  { tailCalls: { intel_ir_set_vcpu_affinity: true, amd_ir_set_vcpu_affinity: true } },
);

/** The first level below that can, sends the interrupt again. */
export const irqChipRetriggerHierarchy = kernelFunction(
  "irq_chip_retrigger_hierarchy",
  (k: Kernel, data: IrqData): boolean => {
    const level = firstWith(data.parent, "retrigger");
    return level?.chip?.retrigger?.(k, level) ?? false;
  },
);

/** The topmost level that can compose messages says what the device is to write. @returns 0, or a negative errno. */
export const irqChipComposeMsiMsg = kernelFunction(
  "irq_chip_compose_msi_msg",
  (k: Kernel, data: IrqData, message: MsiMessage): number => {
    const level = firstWith(data, "composeMsiMsg");
    if (level === null) return -errno.ENOSYS;
    level.chip!.composeMsiMsg!(k, level, message);
    return 0;
  },
);

/** The topmost level, from one downwards, whose chip has a callback. */
export function firstWith(data: IrqData | null, callback: keyof IrqChip): IrqData | null {
  let level = data;
  while (level !== null && level.chip?.[callback] === undefined) level = level.parent;
  return level;
}
