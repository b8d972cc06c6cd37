import type { IrqData } from "../irq/descriptor.ts";
import { vectorConfig } from "../irq/vector.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { vmxPosting } from "../posting/vmx-table.ts";
import { FrameWord } from "../posting/words.ts";
import { type IntelIrData, modifyIrte } from "./irte.ts";
import type { LiveEntry } from "./live-entry.ts";
import { destinationField, intelRemapping } from "./remapping-state.ts";

const { at } = vmxPosting;

/** The entry posts to the CPU that the interrupt goes to. */
const reconfigureToDescriptor = kernelFunction(
  "intel_ir_reconfigure_irte_posted",
  (k: Kernel, entry: LiveEntry): void => {
    entry.run(at["irte-write-host-posted"]);
    modifyIrte(k, entry);
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
    const cpu = data.common.effective[0]!;
    entry.passDescriptor(irq2iommu.postedMsi ? k.postedMsi!.descriptors[cpu]!.address : 0);
    const next = entry.run(at[forceHost ? "irte-write-host" : "posted-guard"]);
    if (next === at["irte-write-host-posted"]) reconfigureToDescriptor(k, entry);
    else if (next === at["irte-test-format"]) modifyIrte(k, entry);
  },
);

/** Brings the entry in line with vector and destination, as the level below has chosen them. */
export const intelIrReconfigureIrte = kernelFunction(
  "intel_ir_reconfigure_irte",
  (k: Kernel, data: IrqData, forceHost: boolean): void => {
    const { entry } = irDataOf(data);
    const { vector, destination } = vectorConfig(data);
    entry.pass(FrameWord.vector, vector);
    entry.pass(FrameWord.value, destinationField(intelRemapping(k).eim, destination));
    entry.run(at["affinity-copy"]);
    writeHostEntry(k, data, forceHost);
  },
);

export function irDataOf(data: IrqData): IntelIrData {
  return data.chipData as IntelIrData;
}
