import { type IrqChip, type MsiMessage, chipFlags, setMask } from "../irq/chip.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { type AllocInfo, type IrqDomain, busToken } from "../irq/domain.ts";
import { irqDomainAdd, irqDomainRemove } from "../irq/hierarchy.ts";
import { type MsiDomainInfo, type MsiTarget, msiDomainOps, msiDomainSetAffinity } from "../irq/msi.ts";
import { irqMsiComposeMsg } from "../irq/apic-chip.ts";
import { irqChipAckParent, irqChipRetriggerHierarchy, irqChipSetVcpuAffinityParent } from "../irq/parent.ts";
import { vectorConfig, vectorDomain } from "../irq/vector.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { PciDevice } from "./device.ts";
import { maskFunctions, pciMsiDomainWriteMsg } from "./message.ts";
import type { MsiState } from "./msi-state.ts";

type Kind = MsiState["kind"];

/** The domain below a function's MSIs: of the unit that remaps them, or VECTOR. */
export function msiParentDomain(k: Kernel, device: PciDevice, kind: Kind = "msix"): IrqDomain {
  const info: AllocInfo = { kind, device, segment: device.segment, hwirq: 0 };
  return k.irqs.domains.find((domain) => domain.ops.select?.(k, domain, info)) ?? vectorDomain(k);
}

const irqMsiUpdateMsg = kernelFunction(
  "irq_msi_update_msg",
  (k: Kernel, data: IrqData, to: { vector: number; destination: number; cpu: number }): void => {
    const message: MsiMessage = { addressLow: 0, addressHigh: 0, data: 0 };
    irqMsiComposeMsg(k, to, message, false);
    data.chip!.writeMsiMsg!(k, data, message);
  },
);

/**
 * Without remapping, address and data of a message that cannot be masked do not change at once: so the new vector is
 * first tried on the old CPU, and what went there meanwhile is sent again.
 */
const msiSetAffinity = kernelFunction(
  "msi_set_affinity",
  (k: Kernel, data: IrqData, cpus: readonly number[], force: boolean): number => {
    const parent = data.parent!;
    const config = vectorConfig(data);
    const old = { ...config };
    const result = parent.chip!.setAffinity!(k, parent, cpus, force);
    if (result < 0 || result === setMask.okDone) return result;
    const { state } = data.chipData as MsiTarget;
    const quirk = state.kind === "msi" && state.registers.mask === 0;
    if (!quirk || config.vector === old.vector || config.destination === old.destination) {
      irqMsiUpdateMsg(k, data, config);
      return result;
    }
    const { table, excused } = k.irqs.vectors!;
    if (table[old.cpu]![config.vector] === null) excused[old.cpu]![config.vector] = 1;
    irqMsiUpdateMsg(k, data, { ...old, vector: config.vector });
    irqMsiUpdateMsg(k, data, config);
    if (k.cpus[old.cpu]!.apic.requested(config.vector)) data.chip!.retrigger!(k, data);
    return result;
  },
);

/** Since 5.14 a message's affinity is set before it starts; since 6.15 the flag of what cannot move at once is here. */
function flagsOf(k: Kernel, remapped: boolean): number {
  let flags: number = chipFlags.IRQCHIP_SKIP_SET_WAKE | chipFlags.IRQCHIP_ONESHOT_SAFE;
  if (k.runs({ from: "5.14" })) flags |= chipFlags.IRQCHIP_AFFINITY_PRE_STARTUP;
  if (k.runs({ from: "6.15" }) && !remapped) flags |= chipFlags.IRQCHIP_MOVE_DEFERRED;
  return flags;
}

function chipOf(k: Kernel, name: string, kind: Kind, remapped: boolean): IrqChip {
  const old = k.runs({ below: "6.2" });
  return {
    name,
    flags: flagsOf(k, remapped),
    ack: irqChipAckParent,
    ...maskFunctions[old ? "old" : kind],
    setAffinity: remapped ? msiDomainSetAffinity : msiSetAffinity,
    writeMsiMsg: pciMsiDomainWriteMsg,
    retrigger: irqChipRetriggerHierarchy,
    ...(old && remapped && { setVcpuAffinity: irqChipSetVcpuAffinityParent }),
  };
}

const tokens = { msi: busToken.pciDeviceMsi, msix: busToken.pciDeviceMsix } as const;

/** Makes the domain of a device's own, or keeps the one that it has. */
function deviceDomain(k: Kernel, device: PciDevice, kind: Kind): IrqDomain {
  if (device.msiDomain?.token === tokens[kind]) return device.msiDomain;
  pciRemoveMsiDomain(k, device);
  const parent = msiParentDomain(k, device, kind);
  const remapped = parent !== vectorDomain(k);
  const name = `${remapped ? "IR-" : ""}PCI-${kind === "msi" ? "MSI" : "MSIX"}-${device.name}`;
  const info: MsiDomainInfo = { chip: chipOf(k, name, kind, remapped), multiMsi: remapped };
  device.msiDomain = irqDomainAdd(k, {
    name,
    ops: msiDomainOps,
    parent,
    token: tokens[kind],
    hostData: info,
  });
  return device.msiDomain;
}

const setupFunctions = {
  msi: kernelFunction("pci_setup_msi_device_domain", (k: Kernel, device: PciDevice) =>
    deviceDomain(k, device, "msi"),
  ),
  msix: kernelFunction("pci_setup_msix_device_domain", (k: Kernel, device: PciDevice) =>
    deviceDomain(k, device, "msix"),
  ),
} as const;

/** Until 6.2: the one MSI domain above a remapping unit's, or above VECTOR; made when it is first wanted. */
function sharedDomain(k: Kernel, device: PciDevice, kind: Kind): IrqDomain {
  const parent = msiParentDomain(k, device, kind);
  const existing = k.irqs.domains.find((one) => one.token === busToken.pciMsi && one.parent === parent);
  if (existing !== undefined) return existing;
  const remapped = parent !== vectorDomain(k);
  const info: MsiDomainInfo = {
    chip: chipOf(k, remapped ? "IR-PCI-MSI" : "PCI-MSI", kind, remapped),
    multiMsi: remapped,
  };
  // INTEL-IR-3 has INTEL-IR-MSI-3 above it.
  const name = remapped ? parent.name.replace(/-(?=\d+$)/, "-MSI-") : "PCI-MSI";
  return irqDomainAdd(k, { name, ops: msiDomainOps, parent, token: busToken.pciMsi, hostData: info });
}

/** The domain that a device's messages of a kind are allocated from. */
export function msiDomainFor(k: Kernel, device: PciDevice, kind: Kind): IrqDomain {
  return k.runs({ from: "6.2" }) ? setupFunctions[kind](k, device) : sharedDomain(k, device, kind);
}

/** The device goes away, and its own domain with it. */
export function pciRemoveMsiDomain(k: Kernel, device: PciDevice): void {
  if (device.msiDomain === null) return;
  irqDomainRemove(k, device.msiDomain);
  device.msiDomain = null;
}
