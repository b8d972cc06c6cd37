import { encode } from "../../spec/codec.ts";
import { irteRemapped } from "../../spec/vtd/irte.ts";
import { type IrqChip, type MsiMessage, setMask, type VcpuInfo } from "../irq/chip.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { apicAckIrq } from "../irq/apic-chip.ts";
import { vectorScheduleCleanup } from "../irq/vector.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { intelAckPostedMsiIrq } from "../posted-msi.ts";
import { modifyIrte, postedEntry } from "./irte.ts";
import { intelIrReconfigureIrte, irDataOf, writeHostEntry } from "./reconfigure.ts";

/** The entry changes, the message that the device has been given does not. */
const intelIrSetAffinity = kernelFunction(
  "intel_ir_set_affinity",
  (k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number => {
    const parent = data.parent!;
    const result = parent.chip!.setAffinity!(k, parent, cpus, force);
    if (result < 0 || result === setMask.okDone) return result;
    intelIrReconfigureIrte(k, data, false);
    vectorScheduleCleanup(k, data);
    return setMask.okDone;
  },
);

const intelIrComposeMsiMsg = kernelFunction(
  "intel_ir_compose_msi_msg",
  (_k: Kernel, data: IrqData, message: MsiMessage): void => {
    Object.assign(message, irDataOf(data).message);
  },
);

/** Hands the entry to a vCPU, or back to the host. */
const intelIrSetVcpuAffinity = kernelFunction(
  "intel_ir_set_vcpu_affinity",
  (k: Kernel, data: IrqData, info: VcpuInfo | null): number => {
    const { irq2iommu, entry } = irDataOf(data);
    if (info === null) {
      if (k.runs({ below: "6.12" })) {
        irq2iommu.postedVcpu = false;
        modifyIrte(k, irq2iommu, encode(irteRemapped, entry));
      } else writeHostEntry(k, data, true);
      return 0;
    }
    if (info.vendor !== "intel") return -errno.EINVAL;
    irq2iommu.postedVcpu = true;
    modifyIrte(k, irq2iommu, postedEntry(entry, info.vector, info.descriptor));
    return 0;
  },
);

const callbacks = {
  setAffinity: intelIrSetAffinity,
  composeMsiMsg: intelIrComposeMsiMsg,
  setVcpuAffinity: intelIrSetVcpuAffinity,
};

/** `intel_ir_chip` */
export const intelIrChip: IrqChip = { name: "INTEL-IR", ack: apicAckIrq, ...callbacks };

/** `intel_ir_chip_post_msi` */
export const intelIrChipPostMsi: IrqChip = { name: "INTEL-IR-POST", ack: intelAckPostedMsiIrq, ...callbacks };
