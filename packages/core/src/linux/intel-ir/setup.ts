import { decode, encode } from "../../spec/codec.ts";
import { irtePosted } from "../../spec/vtd/irte.ts";
import { tableAddress } from "../../spec/vtd/registers.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { store32 } from "./cached-memory.ts";
import { createIrDomain, removeIrDomain } from "./domain.ts";
import { dmarFault } from "./fault.ts";
import { dmarDisableQi, dmarEnableQi, qiGlobalIec } from "./queue.ts";
import { readEntry } from "./live-entry.ts";
import { RemappingTable, tableBytes, tableEntries, tableSize } from "./table.ts";
import { type IntelIommu, flushCache } from "./unit.ts";

/** Takes over the table that the crashed kernel's devices still use. @returns 0, or a negative errno. */
const iommuLoadOldIrte = kernelFunction("iommu_load_old_irte", (k: Kernel, iommu: IntelIommu): number => {
  const { s, irta } = decode(tableAddress, iommu.read("IRTA"));
  if (s !== tableSize) return -errno.EINVAL;
  const table = iommu.table!;
  for (let offset = 0; offset < tableBytes; offset += 4) {
    store32(k, table.base + offset, k.memory.read32(Number(irta) + offset));
  }
  flushCache(k, iommu, table.base, tableBytes);
  for (let index = 0; index < tableEntries; index++) {
    if (decode(irtePosted, readEntry(k, iommu, index)).p === 1) table.inherit(index);
  }
  return 0;
});

/** Points a unit to its table, and has it forget entries of another. */
export const iommuSetIrqRemapping = kernelFunction(
  "iommu_set_irq_remapping",
  (k: Kernel, iommu: IntelIommu, eim: boolean): void => {
    const irta = { irta: iommu.table!.base, s: tableSize, eime: eim ? 1 : 0 };
    iommu.write("IRTA", encode(tableAddress, irta));
    iommu.commandOnce("sirtp");
    if (iommu.cap.esirtps === 0) qiGlobalIec(k, iommu);
  },
);

export const iommuEnableIrqRemapping = kernelFunction(
  "iommu_enable_irq_remapping",
  (k: Kernel, iommu: IntelIommu): void => {
    iommu.command({ ire: 1 });
    // GCMD.CFI as the driver has it is 0 in any case: writing it turns off what firmware has left on.
    if (iommu.status.cfis === 1) iommu.command({ cfi: 0 });
    if (iommu.status.cfis === 1) {
      k.log.warn("Compatibility-format IRQs enabled despite intr remapping;");
      k.log.warn("you are vulnerable to IRQ injection.");
    }
  },
);

/** Remapping goes off; the table stays. */
export const iommuDisableIrqRemapping = kernelFunction(
  "iommu_disable_irq_remapping",
  (k: Kernel, iommu: IntelIommu): void => {
    if (iommu.ecap.ir === 0) return;
    if (iommu.cap.esirtps === 0) qiGlobalIec(k, iommu);
    if (iommu.status.ires === 1) iommu.command({ ire: 0 });
  },
);

/** Gives a unit a table, a domain and a queue. @returns 0, or a negative errno. */
export const intelSetupIrqRemapping = kernelFunction(
  "intel_setup_irq_remapping",
  (k: Kernel, iommu: IntelIommu, eim: boolean): number => {
    if (iommu.table !== null) return 0;
    const base = k.pages.allocate(tableBytes);
    if (base < 0) {
      const amount = k.runs({ below: "6.16" }) ? "pages of order 8" : "1M of pages";
      k.log.err(`DMAR-IR: IR${iommu.sequence}: failed to allocate ${amount}`);
      return -errno.ENOMEM;
    }
    iommu.table = new RemappingTable(base);
    iommu.domain = createIrDomain(k, iommu);
    if (iommu.queue === null) {
      dmarFault(k, -1, iommu);
      dmarDisableQi(k, iommu);
      if (dmarEnableQi(k, iommu) !== 0) {
        k.log.err("DMAR-IR: Failed to enable queued invalidation");
        intelTeardownIrqRemapping(k, iommu);
        return -errno.ENOMEM;
      }
    }
    iommu.preEnabled = iommu.status.ires === 1;
    if (iommu.preEnabled) takeOver(k, iommu);
    iommuSetIrqRemapping(k, iommu, eim);
    return 0;
  },
);

/** Remapping was on when this kernel came: another kernel's, whose devices may still send. */
function takeOver(k: Kernel, iommu: IntelIommu): void {
  if (k.firmware.kdump !== true) {
    k.log.info(`DMAR-IR: IRQ remapping was enabled on ${iommu.name} but we are not in kdump mode`);
    iommu.preEnabled = false;
    iommuDisableIrqRemapping(k, iommu);
  } else if (iommuLoadOldIrte(k, iommu) === 0) {
    k.log.info(`DMAR-IR: Copied IR table for ${iommu.name} from previous kernel`);
  } else k.log.err(`DMAR-IR: Failed to copy IR table for ${iommu.name} from previous kernel`);
}

export const intelTeardownIrqRemapping = kernelFunction(
  "intel_teardown_irq_remapping",
  (k: Kernel, iommu: IntelIommu): void => {
    if (iommu.table === null) return;
    removeIrDomain(k, iommu);
    k.pages.free(iommu.table.base);
    iommu.table = null;
  },
);
