import { amdIrqRemapOps } from "./amd-ir/ops.ts";
import { errno } from "./errno.ts";
import { intelIrqRemapOps } from "./intel-ir/ops.ts";
import { kernelFunction } from "./kernel-function.ts";
import type { Kernel } from "./kernel.ts";
import { initPostedMsi } from "./posted-msi.ts";
import { postedMsiEnabled } from "./posting-capability.ts";

export type RemapMode = "xapic" | "x2apic";

/** `struct irq_remap_ops`. Failures are negative errnos. */
export interface IrqRemapOps {
  readonly vendor: "intel" | "amd";
  /** Finds the units and gives them tables; fills {@link Kernel.remapping}. */
  prepare(k: Kernel): number;
  /** Turns remapping on. @returns the mode, or a negative errno. */
  enable(k: Kernel): RemapMode | number;
  disable(k: Kernel): void;
  /** After resume. */
  reenable(k: Kernel, mode: RemapMode): number;
  enableFaulting(k: Kernel): number;
}

/** What the driver in charge tells the rest of the kernel. */
export interface Remapping {
  readonly vendor: "intel" | "amd";
  enabled: boolean;
  mode: RemapMode;
  /** IRQ_POSTING_CAP: every unit can post, and the CPU has cmpxchg16b. */
  postingCapable: boolean;
}

const irqRemappingPrepare = kernelFunction("irq_remapping_prepare", (k: Kernel): number => {
  if (k.parameters.disableIrqRemap) return -errno.EINVAL;
  for (const ops of [intelIrqRemapOps, amdIrqRemapOps]) {
    if (ops.prepare(k) === 0) {
      k.remapOps = ops;
      return 0;
    }
  }
  return -errno.EINVAL;
});

const irqRemappingEnable = kernelFunction("irq_remapping_enable", (k: Kernel): RemapMode | number => {
  const mode = k.remapOps?.enable(k) ?? -errno.EINVAL;
  if (typeof mode === "string" && k.remapping !== null) {
    k.remapping.enabled = true;
    k.remapping.mode = mode;
  }
  return mode;
});

/** Without remapping, what x2APIC mode needs is a hypervisor that sees to 32-bit destinations. */
const tryToEnableX2apic = kernelFunction(
  "try_to_enable_x2apic",
  (k: Kernel, mode: RemapMode | number): void => {
    if (!k.firmware.x2apic || k.parameters.noX2apic) return;
    if (mode === "xapic") {
      k.log.info("x2apic: IRQ remapping doesn't support X2APIC mode");
      return;
    }
    if (mode !== "x2apic") {
      if (k.firmware.hypervisor !== true || k.cpus.some(({ apicId }) => apicId > 255)) {
        k.log.info("x2apic: IRQ remapping doesn't support X2APIC mode");
        return;
      }
    }
    k.log.info(
      k.firmware.x2apicPreset === true
        ? "x2apic: enabled by BIOS, switching to x2apic ops"
        : "x2apic enabled",
    );
    for (const { apic } of k.cpus) apic.enableX2apic();
    k.x2apic = true;
  },
);

/** Brings remapping up, as far as the machine has it, and decides on x2APIC mode with it. */
export const enableIrX2apic = kernelFunction("enable_IR_x2apic", (k: Kernel): void => {
  if (k.parameters.skipIoapicSetup) {
    k.log.info("Not enabling interrupt remapping due to skipped IO-APIC setup");
    return;
  }
  const prepared = irqRemappingPrepare(k);
  const mode = prepared === 0 ? irqRemappingEnable(k) : prepared;
  tryToEnableX2apic(k, mode);
  if (postedMsiEnabled(k)) initPostedMsi(k);
  if (typeof mode === "string") k.remapOps?.enableFaulting(k);
});

/** Before suspend, kexec or shutdown. */
export const irqRemappingDisable = kernelFunction("irq_remapping_disable", (k: Kernel): void => {
  if (k.remapping?.enabled === true) k.remapOps?.disable(k);
});

/** After resume. */
export const irqRemappingReenable = kernelFunction("irq_remapping_reenable", (k: Kernel): number =>
  k.remapping?.enabled === true ? k.remapOps!.reenable(k, k.remapping.mode) : 0,
);
