import { errno } from "../errno.ts";
import { apicAckIrq } from "../irq/apic-chip.ts";
import { type IrqChip, type MsiMessage, type VcpuInfo, setMask } from "../irq/chip.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { vectorScheduleCleanup } from "../irq/vector-move.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { activateGuestMode, deactivateGuestMode } from "./guest-mode.ts";
import { AmdIrData, irteOpsOf } from "./irte.ts";
import { amdRemapping, pciDeviceOf } from "./remapping.ts";

/** @throws TypeError when the level is not AMD-IR's. */
export function irDataOf(data: IrqData): AmdIrData {
  if (data.chipData instanceof AmdIrData) return data.chipData;
  throw new TypeError(`irq ${data.irq}: not mapped in AMD-IR`);
}

/** Lets the entry follow the vector and CPU that VECTOR has chosen. */
export const amdIrUpdateIrte = kernelFunction(
  "amd_ir_update_irte",
  (k: Kernel, ir: AmdIrData): void => irteOpsOf(k).setAffinity(k, ir),
  { inlined: true },
);

const amdIrSetAffinity = kernelFunction(
  "amd_ir_set_affinity",
  (k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number => {
    const parent = data.parent!;
    const result = parent.chip!.setAffinity!(k, parent, cpus, force);
    if (result < 0 || result === setMask.okDone) return result;
    amdIrUpdateIrte(k, irDataOf(data));
    // Interrupts arrive at the new place from now on.
    vectorScheduleCleanup(k, data);
    return setMask.okDone;
  },
);

const amdIrSetVcpuAffinity = kernelFunction(
  "amd_ir_set_vcpu_affinity",
  (k: Kernel, data: IrqData, info: VcpuInfo | null): number => {
    const ir = irDataOf(data);
    const reworked = k.runs({ from: "6.17" });
    const canPost = amdRemapping(k).guestIr === "vapic";
    if (reworked && !canPost) return -errno.EINVAL;
    if (pciDeviceOf(k, ir.iommu.segment.id, ir.devid) === undefined) return reworked ? -errno.EINVAL : 0;
    if (info?.vendor !== "amd") return deactivateGuestMode(k, ir);
    info.irData = ir;
    info.previousTag = ir.gaTag;
    if (info.guestMode === false || !canPost) {
      const result = deactivateGuestMode(k, ir);
      if (result === 0 && !reworked) ir.gaTag = 0;
      else if (result === 0) remember(ir, info);
      return result;
    }
    remember(ir, info);
    return activateGuestMode(k, ir, { apicId: info.apicId, gaLogInterrupt: info.gaLogInterrupt });
  },
);

function remember(ir: AmdIrData, { vapic, vector, gaTag }: VcpuInfo & { vendor: "amd" }): void {
  ir.vapic = vapic;
  ir.guestVector = vector;
  ir.gaTag = gaTag;
}

const irComposeMsiMsg = kernelFunction(
  "ir_compose_msi_msg",
  (_k: Kernel, data: IrqData, message: MsiMessage): void => {
    Object.assign(message, irDataOf(data).message);
  },
);

/** `amd_ir_chip` */
export const amdIrChip: IrqChip = {
  name: "AMD-IR",
  ack: apicAckIrq,
  setAffinity: amdIrSetAffinity,
  setVcpuAffinity: amdIrSetVcpuAffinity,
  composeMsiMsg: irComposeMsiMsg,
};
