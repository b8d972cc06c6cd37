import type { RegisterName } from "../../spec/amdvi/registers.ts";
import { interruptCapability, registers } from "../../spec/amdvi/registers.ts";
import { encode } from "../../spec/codec.ts";
import { apicDriver } from "../irq/apic-driver.ts";
import { irqMsiComposeMsg } from "../irq/apic-chip.ts";
import type { IrqChip, MsiMessage } from "../irq/chip.ts";
import type { IrqData, IrqHandler } from "../irq/descriptor.ts";
import type { IrqDomain, IrqDomainOps } from "../irq/domain.ts";
import { handleEdgeIrq } from "../irq/flow.ts";
import {
  dataAt,
  irqDomainAdd,
  irqDomainAllocIrqs,
  irqDomainAllocIrqsParent,
  irqDomainFreeIrqsCommon,
  irqDomainSetInfo,
} from "../irq/hierarchy.ts";
import { requestIrq } from "../irq/manage.ts";
import { irqChipAckParent, irqChipRetriggerHierarchy } from "../irq/parent.ts";
import { vectorConfig } from "../irq/vector-state.ts";
import { vectorDomain } from "../irq/vector.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { amdIommuIntThreadEvtlog } from "./events.ts";
import { amdIommuIntThreadGalog } from "./galog.ts";
import type { AmdIommu } from "./iommu.ts";
import { amdRemapping } from "./remapping.ts";

/** A unit's own interrupt: where it is programmed, and what serves it. */
interface OwnInterrupt {
  readonly iommu: AmdIommu;
  /** The registers that say where it goes; none where the MSI capability of the unit's PCI function does. */
  readonly where: readonly RegisterName[];
}

const sourceOf = (data: IrqData): OwnInterrupt => data.chipData as OwnInterrupt;

/** In x2APIC mode registers of the unit say where its interrupts go, with all 32 bits of the destination. */
const intcapxtUnmaskIrq = kernelFunction("intcapxt_unmask_irq", (k: Kernel, data: IrqData): void => {
  const { iommu, where } = sourceOf(data);
  const { vector, destination } = vectorConfig(data);
  const capability = encode(interruptCapability, {
    dm: apicDriver(k).logical ? 1 : 0,
    vector,
    dest: destination % 2 ** 24,
    desthigh: Math.floor(destination / 2 ** 24),
  });
  for (const register of where) iommu.write(register, capability);
});

const intcapxtMaskIrq = kernelFunction("intcapxt_mask_irq", (_k: Kernel, data: IrqData): void => {
  const { iommu, where } = sourceOf(data);
  for (const register of where) iommu.write(register, 0n);
});

/** `pci_msi_unmask_irq` of a function that cannot mask: the message is what counts. */
function programMessage(k: Kernel, data: IrqData): void {
  const message: MsiMessage = { addressLow: 0, addressHigh: 0, data: 0 };
  irqMsiComposeMsg(k, vectorConfig(data), message, false);
  sourceOf(data).iommu.unit.setMessage(message);
}

/** What moves is programmed anew: both kinds hold vector and destination themselves, since nobody remaps them. */
function chip(name: string, program: (k: Kernel, data: IrqData) => void): IrqChip {
  return {
    name,
    unmask: program,
    ack: irqChipAckParent,
    retrigger: irqChipRetriggerHierarchy,
    setAffinity: (k, data, cpus, force) => {
      const parent = data.parent!;
      const result = parent.chip!.setAffinity!(k, parent, cpus, force);
      if (result >= 0) program(k, data);
      return result;
    },
  };
}

const intcapxtController: IrqChip = { ...chip("IOMMU-MSI", intcapxtUnmaskIrq), mask: intcapxtMaskIrq };
const msiController: IrqChip = {
  ...chip("PCI-MSI", programMessage),
  mask: (_k, data) => sourceOf(data).iommu.unit.setMessage(undefined),
};

function domainOps(controller: IrqChip): IrqDomainOps {
  return {
    alloc: (k, domain, virq, count, info) => {
      const result = irqDomainAllocIrqsParent(k, domain, virq, count, info);
      if (result < 0) return result;
      const data = irqDomainSetInfo(k, domain, virq, 0, controller, null, handleEdgeIrq);
      data.common.masked = true;
      return 0;
    },
    free: irqDomainFreeIrqsCommon,
  };
}

/** The domain of all units' own interrupts, which nobody remaps (amdvi.event.not-remapped). */
function ownDomain(k: Kernel): IrqDomain {
  const remapping = amdRemapping(k);
  const ops = domainOps(remapping.mode === "x2apic" ? intcapxtController : msiController);
  remapping.ownInterrupts ??= irqDomainAdd(k, { name: "AMD-Vi-MSI", ops, parent: vectorDomain(k) });
  return remapping.ownInterrupts;
}

type Thread = (k: Kernel, iommu: AmdIommu) => void;

/** With one interrupt for all logs. */
const amdIommuIntThread = kernelFunction("amd_iommu_int_thread", (k: Kernel, iommu: AmdIommu): void => {
  amdIommuIntThreadEvtlog(k, iommu);
  amdIommuIntThreadGalog(k, iommu);
});

const irqThreadFn = kernelFunction("irq_thread_fn", (k: Kernel, run: Thread, iommu: AmdIommu): void =>
  run(k, iommu),
);
const irqThread = kernelFunction("irq_thread", irqThreadFn);
const kthread = kernelFunction("kthread", irqThread);
const retFromFork = kernelFunction("ret_from_fork", kthread);
// The entry of a new thread was all assembly until 6.6.
const retFromForkAsm = kernelFunction("ret_from_fork_asm", retFromFork, { inlined: { below: "6.6" } });

const amdIommuIntHandler = kernelFunction("amd_iommu_int_handler", (_k: Kernel): "wake" => "wake");

/** The interrupt wakes its thread, which the model lets run at once. */
function handlerOf(run: Thread): IrqHandler {
  return (k, _irq, cookie) => {
    const iommu = cookie as AmdIommu;
    amdIommuIntHandler(k);
    k.calls.run(iommu.irqThread, () => retFromForkAsm(k, run, iommu));
    return "handled";
  };
}

function setUp(k: Kernel, source: OwnInterrupt, name: string, run: Thread): number {
  const domain = ownDomain(k);
  const irq = irqDomainAllocIrqs(k, domain, 1, { kind: "vector" });
  if (irq < 0) return irq;
  const data = dataAt(k, irq, domain);
  data.chipData = source;
  const [register] = source.where;
  data.hwirq = register === undefined ? 0 : registers[register].offset;
  source.iommu.irqs.push(irq);
  return requestIrq(k, irq, handlerOf(run), name, source.iommu);
}

const perLog = { from: "6.5" } as const;

/** Since 6.5 an interrupt for each log. */
const iommuSetupIntcapxt = kernelFunction("iommu_setup_intcapxt", (k: Kernel, iommu: AmdIommu): number => {
  if (!k.runs(perLog)) {
    return setUp(k, { iommu, where: ["INT_CAP_XT_GEN", "INT_CAP_XT_GA"] }, "AMD-Vi", amdIommuIntThread);
  }
  const name = `AMD-Vi${iommu.index}`;
  return (
    setUp(k, { iommu, where: ["INT_CAP_XT_GEN"] }, `${name}-Evt`, amdIommuIntThreadEvtlog) ||
    setUp(k, { iommu, where: ["INT_CAP_XT_GA"] }, `${name}-GA`, amdIommuIntThreadGalog)
  );
});

const iommuSetupMsi = kernelFunction("iommu_setup_msi", (k: Kernel, iommu: AmdIommu): number =>
  setUp(k, { iommu, where: [] }, "AMD-Vi", amdIommuIntThread),
);

/** Lets a unit say when something was logged. */
export const iommuInitIrq = kernelFunction("iommu_init_irq", (k: Kernel, iommu: AmdIommu): number => {
  const extended = amdRemapping(k).mode === "x2apic";
  if (iommu.irqs.length === 0) {
    const result = extended ? iommuSetupIntcapxt(k, iommu) : iommuSetupMsi(k, iommu);
    if (result !== 0) return result;
  }
  if (extended) iommu.setControl({ intcapxten: 1 });
  iommu.setControl({ evtinten: 1 });
  return 0;
});
