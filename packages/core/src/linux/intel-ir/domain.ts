import { encode } from "../../spec/codec.ts";
import { msiRemappableAddress, msiRemappableData } from "../../spec/msi/message.ts";
import { irteRemapped } from "../../spec/vtd/irte.ts";
import type { MsiMessage } from "../irq/chip.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { type AllocInfo, busToken, type IrqDomain, type IrqDomainOps } from "../irq/domain.ts";
import {
  dataAt,
  irqDomainAdd,
  irqDomainAllocIrqsParent,
  irqDomainFreeIrqsCommon,
  irqDomainRemove,
  irqDomainResetIrqData,
  irqDomainSetHwirqAndChip,
} from "../irq/hierarchy.ts";
import { apicDriver, vectorConfig, vectorDomain } from "../irq/vector.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { postedMsiEnabled } from "../posting-capability.ts";
import { vmxPosting } from "../posting/vmx-table.ts";
import { intelIrChip, intelIrChipPostMsi } from "./chip.ts";
import {
  clearEntries,
  type HostEntry,
  type IntelIrData,
  modifyIrte,
  prepareIrte,
  prepareIrtePosted,
  setHpetSid,
  setIoapicSid,
  setMsiSid,
} from "./irte.ts";
import { LiveEntry } from "./live-entry.ts";
import { intelIrReconfigureIrte, irDataOf } from "./reconfigure.ts";
import { destinationField, intelRemapping } from "./remapping-state.ts";
import { unitFor } from "./scope.ts";
import { allocIrte } from "./table.ts";
import type { IntelIommu } from "./unit.ts";

/** `fill_msi_msg`: the index as a handle, and a subhandle that a function with several MSIs adds its vector to. */
function remappableMessage(index: number, subHandle: number): MsiMessage {
  const address = encode(msiRemappableAddress, { prefix: 0xfee, format: 1, shv: 1, handle: index });
  const data = encode(msiRemappableData, { subhandle: subHandle });
  return { addressLow: Number(address) | 0, addressHigh: 0, data: Number(data) };
}

/** Posted MSI covers what PCI functions send. */
function postsMsis(k: Kernel, info: AllocInfo): boolean {
  return postedMsiEnabled(k) && (info.kind === "msi" || info.kind === "msix");
}

/** What the entry will be for the host; memory stays as it is until the interrupt is activated. */
const prepareEntry = kernelFunction(
  "intel_irq_remapping_prepare_irte",
  (k: Kernel, data: IrqData, irData: IntelIrData, info: AllocInfo): void => {
    const { irq2iommu } = irData;
    const entry: HostEntry = {};
    const remapping = intelRemapping(k);
    const { vector, destination } = vectorConfig(data);
    prepareIrte(entry, {
      vector,
      destination: destinationField(remapping.eim, destination),
      logical: apicDriver(k).logical,
    });
    switch (info.kind) {
      case "ioapic":
        setIoapicSid(k, entry, info.id, remapping.ioapic(info.id)?.requester);
        break;
      case "hpet":
        setHpetSid(k, entry, info.id, remapping.hpet(info.id)?.requester);
        break;
      case "msi":
      case "msix":
        if (postsMsis(k, info)) {
          prepareIrtePosted(entry);
          irq2iommu.postedMsi = true;
        }
        setMsiSid(k, entry, info.device);
        break;
      default:
    }
    irData.entry.keep(encode(irteRemapped, entry));
  },
);

/** An I/O APIC puts the pin where its redirection entry has the vector: it hears it again in an EOI. */
function subHandleOf(info: AllocInfo, place: number): number {
  return info.kind === "ioapic" ? info.pin : place;
}

const intelFreeIrqResources = kernelFunction(
  "intel_free_irq_resources",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    for (let i = 0; i < count; i++) {
      const data = dataAt(k, virq + i, domain);
      if (data.chipData === null) continue;
      clearEntries(k, irDataOf(data).irq2iommu);
      irqDomainResetIrqData(data);
    }
  },
);

const intelIrqRemappingAlloc = kernelFunction(
  "intel_irq_remapping_alloc",
  (k: Kernel, domain: IrqDomain, virq: number, count: number, info: AllocInfo): number => {
    if (count > 1 && info.kind !== "msi") return -errno.EINVAL;
    const result = irqDomainAllocIrqsParent(k, domain, virq, count, info);
    if (result < 0) return result;
    const first = allocIrte(k, domain.hostData as IntelIommu, count);
    if (first === null) {
      k.log.warn("DMAR-IR: Failed to allocate IRTE");
      irqDomainFreeIrqsCommon(k, domain, virq, count);
      return -errno.ENOMEM;
    }
    const chip = postsMsis(k, info) ? intelIrChipPostMsi : intelIrChip;
    for (let i = 0; i < count; i++) {
      const irData: IntelIrData = {
        irq2iommu: { ...first, subHandle: i },
        entry: new LiveEntry(k, first.iommu, first.index + i),
        message: remappableMessage(first.index, subHandleOf(info, i)),
      };
      const hwirq = first.index * 0x1_0000 + i;
      prepareEntry(k, irqDomainSetHwirqAndChip(k, domain, virq + i, hwirq, chip, irData), irData, info);
    }
    return 0;
  },
);

const intelIrqRemappingFree = kernelFunction(
  "intel_irq_remapping_free",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    intelFreeIrqResources(k, domain, virq, count);
    irqDomainFreeIrqsCommon(k, domain, virq, count);
  },
);

const intelIrqRemappingActivate = kernelFunction(
  "intel_irq_remapping_activate",
  (k: Kernel, _domain: IrqDomain, data: IrqData, _reserve: boolean): number => {
    intelIrReconfigureIrte(k, data, true);
    return 0;
  },
);

const intelIrqRemappingDeactivate = kernelFunction(
  "intel_irq_remapping_deactivate",
  (k: Kernel, _domain: IrqDomain, data: IrqData): void => {
    const { entry } = irDataOf(data);
    entry.run(vmxPosting.at["irte-clear"]);
    modifyIrte(k, entry);
  },
);

const intelIrqRemappingSelect = kernelFunction(
  "intel_irq_remapping_select",
  (k: Kernel, domain: IrqDomain, info: AllocInfo): boolean =>
    unitFor(k, intelRemapping(k), info)?.domain === domain,
);

/** `intel_ir_domain_ops` */
const intelIrDomainOps: IrqDomainOps = {
  select: intelIrqRemappingSelect,
  alloc: intelIrqRemappingAlloc,
  free: intelIrqRemappingFree,
  activate: intelIrqRemappingActivate,
  deactivate: intelIrqRemappingDeactivate,
};

/** The domain of a unit; since 6.2 its name shows what bus it is for. */
export function createIrDomain(k: Kernel, iommu: IntelIommu): IrqDomain {
  return irqDomainAdd(k, {
    name: `INTEL-IR-${iommu.sequence}`,
    ops: intelIrDomainOps,
    parent: vectorDomain(k),
    token: k.runs({ from: "6.2" }) ? busToken.dmar : busToken.any,
    isolatedMsi: true,
    hostData: iommu,
  });
}

export function removeIrDomain(k: Kernel, iommu: IntelIommu): void {
  if (iommu.domain !== null) irqDomainRemove(k, iommu.domain);
  iommu.domain = null;
}
