import { msiAddress, msiAmdData } from "../../spec/msi/message.ts";
import { encode } from "../../spec/codec.ts";
import { errno } from "../errno.ts";
import type { MsiMessage } from "../irq/chip.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { type AllocInfo, type IrqDomain, type IrqDomainOps, busToken } from "../irq/domain.ts";
import {
  dataAt,
  irqDomainAdd,
  irqDomainAllocIrqsParent,
  irqDomainFreeIrqsCommon,
  irqDomainSetHwirqAndChip,
} from "../irq/hierarchy.ts";
import { vectorConfig } from "../irq/vector-state.ts";
import { vectorDomain } from "../irq/vector.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { amdIrChip, amdIrUpdateIrte, irDataOf } from "./chip.ts";
import type { AmdIommu } from "./iommu.ts";
import { AmdIrData, freeIrte, irteOpsOf } from "./irte.ts";
import { amdRemapping, pciDeviceOf } from "./remapping.ts";
import { allocIrqIndex, allocIrqTable, reserveForIoapic, tableEntries } from "./table.ts";

/** Who sends the interrupt, and the unit that remaps it; undefined when there is none. */
function sourceOf(k: Kernel, info: AllocInfo): { iommu: AmdIommu; devid: number } | undefined {
  const remapping = amdRemapping(k);
  const id =
    info.kind === "ioapic" || info.kind === "hpet"
      ? remapping.special(info.kind, info.id)
      : info.kind === "vector"
        ? undefined
        : { segment: info.segment, device: info.device.requester };
  const iommu = id && remapping.lookup(id.segment, id.device);
  return iommu && { iommu, devid: id.device };
}

/** Since 6.15 a PCI function has 2048 interrupts where the units can. */
function entriesOf(k: Kernel, iommu: AmdIommu, devid: number): number {
  const long = indexes2048(k) && pciDeviceOf(k, iommu.segment.id, devid) !== undefined;
  return long ? tableEntries.long : tableEntries.short;
}

export function indexes2048(k: Kernel): boolean {
  return k.runs({ from: "6.15" }) && amdRemapping(k).features2.numintremapsup === 1;
}

/** @returns the first index, or a negative errno. */
function allocIndex(
  k: Kernel,
  { iommu, devid }: { iommu: AmdIommu; devid: number },
  count: number,
  info: AllocInfo,
) {
  const ops = irteOpsOf(k);
  const entries = entriesOf(k, iommu, devid);
  if (info.kind === "ioapic") {
    const table = allocIrqTable(k, iommu, devid, null, entries);
    if (table === undefined) return -errno.ENOMEM;
    reserveForIoapic(k, ops, table);
    table.allocated++;
    return info.pin;
  }
  const device = pciDeviceOf(k, iommu.segment.id, devid) ?? null;
  return allocIrqIndex(k, iommu, ops, devid, count, info.kind === "msi", device, entries);
}

/**
 * The message by which the index gets to the unit. Where 2048 interrupts are on, Destination Mode says that data bits
 * 10:8 belong to the index; the destination's own mode is the entry's.
 */
export function fillMsiMsg(k: Kernel, index: number): MsiMessage {
  const address = encode(msiAddress, { prefix: 0xfee, dm: indexes2048(k) ? 1 : 0 });
  return {
    addressLow: Number(BigInt.asIntN(32, address)),
    addressHigh: 0,
    data: Number(encode(msiAmdData, { index })),
  };
}

const irqRemappingAlloc = kernelFunction(
  "irq_remapping_alloc",
  (k: Kernel, domain: IrqDomain, virq: number, count: number, info: AllocInfo): number => {
    const blocks = k.runs({ from: "6.2" }) ? ["msi"] : ["msi", "msix"];
    if (count > 1 && !blocks.includes(info.kind)) return -errno.EINVAL;
    const source = sourceOf(k, info);
    if (source === undefined) return -errno.EINVAL;
    const result = irqDomainAllocIrqsParent(k, domain, virq, count, info);
    if (result < 0) return result;
    const first = allocIndex(k, source, count, info);
    if (first < 0) {
      k.log.warn("AMD-Vi: Failed to allocate IRTE");
      irqDomainFreeIrqsCommon(k, domain, virq, count);
      return first;
    }
    const { iommu, devid } = source;
    for (let i = 0; i < count; i++) {
      const config = vectorConfig(dataAt(k, virq + i, domain));
      const ir = new AmdIrData(iommu, devid, first + i, config, fillMsiMsg(k, first + i));
      irqDomainSetHwirqAndChip(k, domain, virq + i, devid * 2 ** 16 + i, amdIrChip, ir);
      irteOpsOf(k).prepare(k, ir);
    }
    return 0;
  },
);

const irqRemappingFree = kernelFunction(
  "irq_remapping_free",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    for (let i = 0; i < count; i++) {
      const { chipData } = dataAt(k, virq + i, domain);
      if (!(chipData instanceof AmdIrData)) continue;
      freeIrte(k, irteOpsOf(k), chipData.iommu, chipData.devid, chipData.index);
    }
    irqDomainFreeIrqsCommon(k, domain, virq, count);
  },
);

const irqRemappingActivate = kernelFunction(
  "irq_remapping_activate",
  (k: Kernel, _domain: IrqDomain, data: IrqData, _reserve: boolean): number => {
    const ir = irDataOf(data);
    irteOpsOf(k).activate(k, ir);
    amdIrUpdateIrte(k, ir);
    return 0;
  },
);

const irqRemappingDeactivate = kernelFunction(
  "irq_remapping_deactivate",
  (k: Kernel, _domain: IrqDomain, data: IrqData): void => irteOpsOf(k).deactivate(k, irDataOf(data)),
);

const irqRemappingSelect = kernelFunction(
  "irq_remapping_select",
  (k: Kernel, domain: IrqDomain, info: AllocInfo): boolean => sourceOf(k, info)?.iommu.domain === domain,
);

const amdIrDomainOps: IrqDomainOps = {
  select: irqRemappingSelect,
  alloc: irqRemappingAlloc,
  free: irqRemappingFree,
  activate: irqRemappingActivate,
  deactivate: irqRemappingDeactivate,
};

/** The level between VECTOR and the MSIs of the devices behind one unit. */
export const amdIommuCreateIrqDomain = kernelFunction(
  "amd_iommu_create_irq_domain",
  (k: Kernel, iommu: AmdIommu): void => {
    iommu.domain = irqDomainAdd(k, {
      name: `AMD-IR-${iommu.index}`,
      ops: amdIrDomainOps,
      parent: vectorDomain(k),
      token: busToken.amdvi,
      isolatedMsi: true,
    });
  },
);
