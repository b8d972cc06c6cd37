import { encode } from "../../spec/codec.ts";
import { eventControl } from "../../spec/vtd/registers.ts";
import { errno } from "../errno.ts";
import { irqMsiComposeMsg } from "../irq/apic-chip.ts";
import type { IrqChip, MsiMessage } from "../irq/chip.ts";
import type { IrqData } from "../irq/descriptor.ts";
import type { IrqDomain, IrqDomainOps } from "../irq/domain.ts";
import { dataAt, irqDomainAdd, irqDomainAllocIrqs } from "../irq/hierarchy.ts";
import { requestIrq } from "../irq/manage.ts";
import { type MsiDomainInfo, msiDomainOps, msiDomainSetAffinity } from "../irq/msi.ts";
import { irqChipAckParent, irqChipRetriggerHierarchy } from "../irq/parent.ts";
import { vectorConfig, vectorDomain } from "../irq/vector.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { dmarFault } from "./fault.ts";
import { intelRemapping } from "./remapping-state.ts";
import type { IntelIommu } from "./unit.ts";

function unitOf(data: IrqData): IntelIommu {
  return data.chipData as IntelIommu;
}

const dmarMsiUnmask = kernelFunction("dmar_msi_unmask", (_k: Kernel, data: IrqData): void => {
  unitOf(data).write("FECTL", 0n);
});

const dmarMsiMask = kernelFunction("dmar_msi_mask", (_k: Kernel, data: IrqData): void => {
  unitOf(data).write("FECTL", encode(eventControl, { im: 1 }));
});

/** The unit's own interrupts are not remapped; in x2APIC mode their address has room for a whole APIC id. */
const dmarMsiComposeMsg = kernelFunction(
  "dmar_msi_compose_msg",
  (k: Kernel, data: IrqData, message: MsiMessage): void => {
    irqMsiComposeMsg(k, vectorConfig(data), message, true);
  },
  { tailCalls: { __irq_msi_compose_msg: true } },
);

const dmarMsiWrite = kernelFunction(
  "dmar_msi_write",
  (_k: Kernel, iommu: IntelIommu, message: MsiMessage): void => {
    iommu.write("FEDATA", BigInt(message.data >>> 0));
    iommu.write("FEADDR", BigInt(message.addressLow >>> 0));
    iommu.write("FEUADDR", BigInt(message.addressHigh >>> 0));
  },
);

const dmarMsiWriteMsg = kernelFunction(
  "dmar_msi_write_msg",
  (k: Kernel, data: IrqData, message: MsiMessage): void => {
    dmarMsiWrite(k, unitOf(data), message);
  },
  { tailCalls: { dmar_msi_write: true } },
);

const dmarMsiController: IrqChip = {
  name: "DMAR-MSI",
  ack: irqChipAckParent,
  mask: dmarMsiMask,
  unmask: dmarMsiUnmask,
  setAffinity: msiDomainSetAffinity,
  composeMsiMsg: dmarMsiComposeMsg,
  writeMsiMsg: dmarMsiWriteMsg,
  retrigger: irqChipRetriggerHierarchy,
};

/** Ops of its own: what its levels keep is a unit, and no device. */
const dmarMsiDomainOps: IrqDomainOps = { ...msiDomainOps };

const dmarGetIrqDomain = kernelFunction("dmar_get_irq_domain", (k: Kernel): IrqDomain => {
  const existing = k.irqs.domains.find(({ name }) => name === "DMAR-MSI");
  const info: MsiDomainInfo = { chip: dmarMsiController, multiMsi: false };
  return (
    existing ??
    irqDomainAdd(k, { name: "DMAR-MSI", ops: dmarMsiDomainOps, parent: vectorDomain(k), hostData: info })
  );
});

const dmarAllocHwirq = kernelFunction("dmar_alloc_hwirq", (k: Kernel, iommu: IntelIommu): number => {
  const domain = dmarGetIrqDomain(k);
  const irq = irqDomainAllocIrqs(k, domain, 1, { kind: "vector" });
  if (irq < 0) return irq;
  const data = dataAt(k, irq, domain);
  data.hwirq = iommu.sequence;
  data.chipData = iommu;
  data.common.masked = true;
  return irq;
});

/** Gives a unit's fault event an interrupt. @returns 0, or a negative errno. */
const dmarSetInterrupt = kernelFunction("dmar_set_interrupt", (k: Kernel, iommu: IntelIommu): number => {
  if (iommu.faultIrq !== 0) return 0;
  const irq = dmarAllocHwirq(k, iommu);
  if (irq <= 0) {
    k.log.err("DMAR: No free IRQ vectors");
    return -errno.EINVAL;
  }
  iommu.faultIrq = irq;
  const result = requestIrq(k, irq, dmarFault, iommu.name, iommu);
  if (result !== 0) k.log.err("DMAR: Can't request irq");
  return result;
});

/** Lets faults interrupt; what was recorded before is printed and cleared. @returns 0, or a negative errno. */
export const enableDrhdFaultHandling = kernelFunction("enable_drhd_fault_handling", (k: Kernel): number => {
  for (const iommu of intelRemapping(k).units) {
    const result = dmarSetInterrupt(k, iommu);
    if (result !== 0) {
      const base = iommu.drhd.base.toString(16);
      k.log.err(`DMAR: DRHD ${base}: failed to enable fault, interrupt, ret ${result}`);
      return -errno.EPERM;
    }
    dmarFault(k, iommu.faultIrq, iommu);
    iommu.write("FSTS", iommu.read("FSTS"));
  }
  return 0;
});
