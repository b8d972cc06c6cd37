import { encode } from "../../spec/codec.ts";
import { irteRemapped } from "../../spec/vtd/irte.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { vectorConfig } from "../irq/vector.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { type IntelIrData, modifyIrte, postedEntry } from "./irte.ts";
import { destinationField, intelRemapping } from "./remapping-state.ts";

/** The descriptor of the CPU that the interrupt goes to. */
const reconfigureToDescriptor = kernelFunction(
  "intel_ir_reconfigure_irte_posted",
  (k: Kernel, data: IrqData): void => {
    const { irq2iommu, entry } = irDataOf(data);
    const descriptor = k.postedMsi!.descriptors[data.common.effective[0]!]!;
    modifyIrte(k, irq2iommu, postedEntry(entry, Number(entry.v), descriptor.address));
  },
);

/**
 * Writes the host's entry to the table, unless it posts to a vCPU.
 * @param forceHost take it back from the vCPU.
 */
export const writeHostEntry = kernelFunction(
  "__intel_ir_reconfigure_irte",
  (k: Kernel, data: IrqData, forceHost: boolean): void => {
    const { irq2iommu, entry } = irDataOf(data);
    if (irq2iommu.postedVcpu && !forceHost) return;
    irq2iommu.postedVcpu = false;
    if (irq2iommu.postedMsi) reconfigureToDescriptor(k, data);
    else modifyIrte(k, irq2iommu, encode(irteRemapped, entry));
  },
);

/** Brings the entry in line with vector and destination, as the level below has chosen them. */
export const intelIrReconfigureIrte = kernelFunction(
  "intel_ir_reconfigure_irte",
  (k: Kernel, data: IrqData, forceHost: boolean): void => {
    const { entry } = irDataOf(data);
    const { vector, destination } = vectorConfig(data);
    entry.v = vector;
    entry.dst = destinationField(intelRemapping(k).eim, destination);
    writeHostEntry(k, data, forceHost);
  },
);

export function irDataOf(data: IrqData): IntelIrData {
  return data.chipData as IntelIrData;
}
