import { type IrqChip, type MsiMessage, setMask, type VcpuInfo } from "../irq/chip.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { apicAckIrq } from "../irq/apic-chip.ts";
import { vectorScheduleCleanup } from "../irq/vector.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { intelAckPostedMsiIrq } from "../posted-msi.ts";
import { vmxPosting } from "../posting/vmx-table.ts";
import { FrameWord } from "../posting/words.ts";
import { modifyIrte } from "./irte.ts";
import { intelIrReconfigureIrte, irDataOf, writeHostEntry } from "./reconfigure.ts";

const { at } = vmxPosting;

/** The entry changes, the message that the device has been given does not. */
const intelIrSetAffinity = kernelFunction(
  "intel_ir_set_affinity",
  (k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number => {
    const parent = data.parent!;
    const result = parent.chip!.setAffinity!(k, parent, cpus, force);
    if (result < 0 || result === setMask.okDone) return result;
    irDataOf(data).entry.locked(at["affinity-lock"], () => intelIrReconfigureIrte(k, data, false));
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
    if (info?.vendor === "amd") return -errno.EINVAL;
    const { entry } = irDataOf(data);
    entry.pass(FrameWord.value, info === null ? 0 : 1);
    entry.pass(FrameWord.vector, info?.vector ?? 0);
    entry.passDescriptor(info?.descriptor ?? 0);
    entry.locked(at["irte-lock"], (taken) => {
      const next = entry.run(taken);
      if (next === at["irte-test-format"]) modifyIrte(k, entry);
      else if (k.runs({ from: "6.12" })) writeHostEntry(k, data, true);
      else {
        entry.run(next);
        modifyIrte(k, entry);
      }
    });
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
