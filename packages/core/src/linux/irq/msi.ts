import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { PciDevice } from "../pci/device.ts";
import type { MsiDescriptor, MsiState } from "../pci/msi-state.ts";
import { type IrqChip, type MsiMessage, setMask } from "./chip.ts";
import type { IrqData } from "./descriptor.ts";
import type { AllocInfo, IrqDomain, IrqDomainOps } from "./domain.ts";
import { handleEdgeIrq } from "./flow.ts";
import { dataAt, irqDomainActivateIrq, irqDomainAllocIrqs, irqDomainAllocIrqsParent } from "./hierarchy.ts";
import { irqDomainDeactivateIrq, irqDomainFreeIrqs, irqDomainFreeIrqsCommon } from "./hierarchy.ts";
import { irqDomainSetInfo } from "./hierarchy.ts";
import { irqChipComposeMsiMsg } from "./parent.ts";

/** `struct msi_domain_info`: what an MSI domain keeps. */
export interface MsiDomainInfo {
  readonly chip: IrqChip;
  /** MSI_FLAG_MULTI_PCI_MSI: the levels below can hand out contiguous blocks. */
  readonly multiMsi: boolean;
}

/** What the topmost level of an MSI knows: the message is written to this vector of this device. */
export interface MsiTarget {
  readonly device: PciDevice;
  readonly state: MsiState;
  readonly descriptor: MsiDescriptor;
}

/** `irq_get_msi_desc`: whose message an interrupt is; undefined when it is none. */
export function msiTargetOf(k: Kernel, irq: number): MsiTarget | undefined {
  const data = k.irqs.descriptors.get(irq)?.data;
  return isMsiDomain(data?.domain) ? ((data?.chipData ?? undefined) as MsiTarget | undefined) : undefined;
}

/** Whether a domain is one of those that write messages to devices. */
export function isMsiDomain(domain: IrqDomain | undefined): boolean {
  return domain?.ops === msiDomainOps;
}

/** `irq_msi_compose_msg` and the write, where a message is to say what the levels below have decided. */
function composeAndWrite(k: Kernel, data: IrqData): void {
  const message: MsiMessage = { addressLow: 0, addressHigh: 0, data: 0 };
  irqChipComposeMsiMsg(k, data, message);
  data.chip!.writeMsiMsg!(k, data, message);
}

const msiDomainAlloc = kernelFunction(
  "msi_domain_alloc",
  (k: Kernel, domain: IrqDomain, virq: number, count: number, info: AllocInfo): number => {
    const { chip } = domain.hostData as MsiDomainInfo;
    const result = irqDomainAllocIrqsParent(k, domain, virq, count, info);
    if (result < 0) return result;
    const hwirq = hwirqOf(k, info);
    for (let i = 0; i < count; i++)
      irqDomainSetInfo(k, domain, virq + i, hwirq + i, chip, null, handleEdgeIrq);
    return 0;
  },
);

const msiDomainFree = kernelFunction(
  "msi_domain_free",
  (k: Kernel, domain: IrqDomain, virq: number, count: number): void => {
    irqDomainFreeIrqsCommon(k, domain, virq, count);
  },
);

const msiDomainActivate = kernelFunction(
  "msi_domain_activate",
  (k: Kernel, _domain: IrqDomain, data: IrqData, _reserve: boolean): number => {
    composeAndWrite(k, data);
    return 0;
  },
);

const msiDomainDeactivate = kernelFunction(
  "msi_domain_deactivate",
  (k: Kernel, _domain: IrqDomain, data: IrqData): void => {
    data.chip!.writeMsiMsg!(k, data, { addressLow: 0, addressHigh: 0, data: 0 });
  },
);

/** The topmost level of messages: what is composed below, it writes to the device. */
export const msiDomainOps: IrqDomainOps = {
  alloc: msiDomainAlloc,
  free: msiDomainFree,
  activate: msiDomainActivate,
  deactivate: msiDomainDeactivate,
};

/** The message is written again, unless what remaps it has taken care of everything. */
export const msiDomainSetAffinity = kernelFunction(
  "msi_domain_set_affinity",
  (k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number => {
    const { parent } = data;
    const result = parent?.chip?.setAffinity?.(k, parent, cpus, force) ?? -errno.ENOSYS;
    if (result >= 0 && result !== setMask.okDone) composeAndWrite(k, data);
    return result;
  },
);

/** Until 6.2 a hwirq at this level names the device too. */
function hwirqOf(k: Kernel, info: AllocInfo): number {
  if (info.kind !== "msi" && info.kind !== "msix") return 0;
  if (k.runs({ from: "6.2" })) return info.hwirq;
  return info.segment * 2 ** 27 + info.device.requester * 2 ** 11 + info.hwirq;
}

/**
 * Without masking a message that was not requested could be sent with the placeholder's vector: only what can be
 * masked waits for its vector until it is requested.
 */
function canReserve({ state }: MsiTarget): boolean {
  return state.kind === "msix" || state.registers.mask !== 0;
}

function allocateOne(k: Kernel, domain: IrqDomain, target: MsiTarget): number {
  const { device, state, descriptor } = target;
  const info: AllocInfo = { kind: state.kind, device, segment: device.segment, hwirq: descriptor.index };
  const virq = irqDomainAllocIrqs(k, domain, descriptor.used, info);
  if (virq < 0) return virq;
  descriptor.irq = virq;
  for (let i = 0; i < descriptor.used; i++) dataAt(k, virq + i, domain).chipData = target;
  return 0;
}

const msiInitVirq = kernelFunction(
  "msi_init_virq",
  (k: Kernel, domain: IrqDomain, virq: number, reserve: boolean): number => {
    const data = dataAt(k, virq, domain);
    if (!reserve) data.common.canReserve = false;
    const result = irqDomainActivateIrq(k, data, reserve);
    // request_irq activates again, with the final vector.
    if (result === 0 && reserve) data.common.activated = false;
    return result;
  },
  { inlined: true },
);

function initialize(k: Kernel, domain: IrqDomain, target: MsiTarget): number {
  const { irq, used } = target.descriptor;
  for (let i = 0; i < used; i++) {
    const result = msiInitVirq(k, domain, irq + i, canReserve(target));
    if (result !== 0) return result;
  }
  return 0;
}

/** @returns 0, a negative errno, or how many a second attempt should ask for. */
function allocateAll(k: Kernel, domain: IrqDomain, targets: readonly MsiTarget[]): number {
  // Until 5.17 all were allocated before the first was activated.
  const apart = k.runs({ below: "5.17" });
  let allocated = 0;
  for (const target of targets) {
    if (allocateOne(k, domain, target) !== 0) {
      if (target.descriptor.used > 1) return 1;
      return allocated > 0 ? allocated : -errno.ENOSPC;
    }
    const result = apart ? 0 : initialize(k, domain, target);
    if (result !== 0) return result;
    allocated++;
  }
  for (const target of apart ? targets : []) {
    const result = initialize(k, domain, target);
    if (result !== 0) return result;
  }
  return 0;
}

const allocateInner = kernelFunction("__msi_domain_alloc_irqs", allocateAll);

function allocateOrFree(k: Kernel, domain: IrqDomain, targets: readonly MsiTarget[]): number {
  const result = (k.runs({ below: "5.17" }) ? allocateAll : allocateInner)(k, domain, targets);
  if (result !== 0) msiDomainFreeIrqs(k, domain, targets);
  return result;
}

const allocAllLocked = kernelFunction("msi_domain_alloc_irqs_all_locked", allocateOrFree);
const oldAlloc = kernelFunction("msi_domain_alloc_irqs", allocateOrFree);

/** Gives every descriptor its interrupts, all or none. @returns as {@link allocateAll}. */
export function msiDomainAllocIrqs(k: Kernel, domain: IrqDomain, targets: readonly MsiTarget[]): number {
  return (k.runs({ from: "6.2" }) ? allocAllLocked : oldAlloc)(k, domain, targets);
}

/** `msi_domain_alloc_irq_at`: one more vector, while others are in use. @returns 0, or a negative errno. */
export const msiDomainAllocIrqAt = kernelFunction(
  "msi_domain_alloc_irq_at",
  (k: Kernel, domain: IrqDomain, target: MsiTarget): number => allocateOrFree(k, domain, [target]),
);

const freeInner = kernelFunction(
  "__msi_domain_free_irqs",
  (k: Kernel, domain: IrqDomain, targets: readonly MsiTarget[]): void => {
    for (const { descriptor } of targets) {
      const { irq, used } = descriptor;
      if (irq === 0) continue;
      for (let i = 0; i < used; i++) irqDomainDeactivateIrq(k, dataAt(k, irq + i, domain));
      irqDomainFreeIrqs(k, irq, used);
      descriptor.irq = 0;
    }
  },
);

const freeAllLocked = kernelFunction("msi_domain_free_irqs_all_locked", freeInner);
const oldFree = kernelFunction("msi_domain_free_irqs", freeInner);

export function msiDomainFreeIrqs(k: Kernel, domain: IrqDomain, targets: readonly MsiTarget[]): void {
  (k.runs({ from: "6.2" }) ? freeAllLocked : oldFree)(k, domain, targets);
}
