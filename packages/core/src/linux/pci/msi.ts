import * as msiControl from "../../spec/accessors/msi-control.ts";
import * as msixControl from "../../spec/accessors/msix-control.ts";
import * as tableEntry from "../../spec/accessors/msix-table-entry.ts";
import { decode, fromWords } from "../../spec/codec.ts";
import { capabilityIds } from "../../spec/pci/config-header.ts";
import { msixCapability, msixEntryBytes } from "../../spec/pci/msix.ts";
import { errno } from "../errno.ts";
import { type MsiDomainInfo, type MsiTarget, msiDomainAllocIrqAt } from "../irq/msi.ts";
import { msiDomainAllocIrqs, msiDomainFreeIrqs } from "../irq/msi.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { findCapability, readConfig, setIntx, writeBar } from "./config.ts";
import type { PciDevice } from "./device.ts";
import { msiDomainFor } from "./irq-domain.ts";
import { allBits, setMasked, updateControl, writeMessage } from "./message.ts";
import type { MsiDescriptor, MsiState } from "./msi-state.ts";

export { pciRemoveMsiDomain } from "./irq-domain.ts";
export { getCachedMsiMsg, pciWriteMsiMsg } from "./message.ts";

type Kind = MsiState["kind"];

const none = { bar: 0, offset: 0 };
const noRegisters = { upper: 0, data: 0, mask: 0 };

/** `pci_msix_vec_count`: entries of the table; a negative errno when the device has none. */
export const pciMsixVecCount = kernelFunction(
  "pci_msix_vec_count",
  (_k: Kernel, device: PciDevice): number => {
    const capability = findCapability(device, capabilityIds.msix);
    return capability === 0 ? -errno.EINVAL : msixControl.size(readConfig(device, capability, 4)) + 1;
  },
);

/** `pci_msi_vec_count`: vectors that the device asks for; a negative errno when it has no MSI. */
export const pciMsiVecCount = kernelFunction("pci_msi_vec_count", (_k: Kernel, device: PciDevice): number => {
  const capability = findCapability(device, capabilityIds.msi);
  return capability === 0 ? -errno.EINVAL : 1 << msiControl.mmc(readConfig(device, capability, 4));
});

function newDescriptor(index: number, used: number, mask: number): MsiDescriptor {
  return { index, irq: 0, used, message: { addressLow: 0, addressHigh: 0, data: 0 }, mask };
}

function targetsOf(device: PciDevice, state: MsiState): MsiTarget[] {
  return state.descriptors.map((descriptor) => ({ device, state, descriptor }));
}

const setupMsiIrqs = kernelFunction(
  "pci_msi_setup_msi_irqs",
  (k: Kernel, device: PciDevice, state: MsiState): number =>
    msiDomainAllocIrqs(k, state.domain, targetsOf(device, state)),
  { inlined: { below: "5.17" }, tailCalls: { msi_domain_alloc_irqs_all_locked: true } },
);

/** MSI-X is on from the start, so that the table can be written, and masked as a whole until all is in place. */
const msixCapabilityInit = kernelFunction(
  "msix_capability_init",
  (k: Kernel, device: PciDevice, state: MsiState): number => {
    const target = { device, state };
    const { EN_MASK, FM_MASK } = msixControl;
    updateControl(target, 0, EN_MASK | FM_MASK);
    device.msi = state;
    const result = setupMsiIrqs(k, device, state);
    if (result !== 0) {
      device.msi = null;
      updateControl(target, EN_MASK | FM_MASK, 0);
      return result;
    }
    setIntx(device, false);
    maskAll(target);
    updateControl(target, FM_MASK, 0);
    return 0;
  },
  { inlined: true },
);

/** `msix_mask_all`: every entry of the table, used or not. */
function maskAll({ device, state }: Omit<MsiTarget, "descriptor">): void {
  const { bar, offset } = state.table;
  const count = msixControl.size(readConfig(device, state.capability, 4)) + 1;
  if (device.removed) return;
  for (let i = 0; i < count; i++) {
    writeBar(device, bar, offset + i * msixEntryBytes + 4 * tableEntry.MASK_WORD, tableEntry.MASK_MASK);
  }
}

function tableOf(device: PciDevice, capability: number): MsiState["table"] {
  const words = Int32Array.from([0, 4, 8], (offset) => readConfig(device, capability + offset, 4));
  const { tablebir, tableoffset } = decode(msixCapability, fromWords(words, 0, 96));
  return { bar: Number(tablebir), offset: Number(tableoffset) };
}

const enableMsixRange = kernelFunction(
  "__pci_enable_msix_range",
  (k: Kernel, device: PciDevice, min: number, max: number): number => {
    const capability = findCapability(device, capabilityIds.msix);
    if (capability === 0) return -errno.EINVAL;
    const domain = msiDomainFor(k, device, "msix");
    const table = tableOf(device, capability);
    let count = Math.min(max, msixControl.size(readConfig(device, capability, 4)) + 1);
    while (count >= min) {
      const descriptors = Array.from({ length: count }, (_, i) => newDescriptor(i, 1, tableEntry.MASK_MASK));
      const state: MsiState = {
        kind: "msix",
        capability,
        table,
        registers: noRegisters,
        descriptors,
        domain,
      };
      const result = msixCapabilityInit(k, device, state);
      if (result === 0) return count;
      if (result < 0) return result;
      count = result;
    }
    return -errno.ENOSPC;
  },
);

const msiCapabilityInit = kernelFunction(
  "msi_capability_init",
  (k: Kernel, device: PciDevice, state: MsiState): number => {
    const [target] = targetsOf(device, state) as [MsiTarget];
    updateControl(target, msiControl.EN_MASK, 0);
    device.msi = state;
    setMasked(target, allBits(target), true);
    const result = setupMsiIrqs(k, device, state);
    if (result !== 0) {
      setMasked(target, allBits(target), false);
      device.msi = null;
      return result;
    }
    setIntx(device, false);
    updateControl(target, 0, msiControl.EN_MASK);
    return 0;
  },
  { inlined: true },
);

function registersOf(capability: number, control: number): MsiState["registers"] {
  const wide = msiControl.c64(control) === 1;
  const data = capability + (wide ? 12 : 8);
  return {
    upper: wide ? capability + 8 : 0,
    data,
    mask: msiControl.pvm(control) === 1 ? data + 4 : 0,
  };
}

const enableMsiRange = kernelFunction(
  "__pci_enable_msi_range",
  (k: Kernel, device: PciDevice, min: number, max: number): number => {
    const capability = findCapability(device, capabilityIds.msi);
    if (capability === 0) return -errno.EINVAL;
    const control = readConfig(device, capability, 4);
    const domain = msiDomainFor(k, device, "msi");
    const registers = registersOf(capability, control);
    const limit = (domain.hostData as MsiDomainInfo).multiMsi ? 1 << msiControl.mmc(control) : 1;
    let count = Math.min(max, limit);
    while (count >= min) {
      const descriptors = [newDescriptor(0, count, 0)];
      const state: MsiState = { kind: "msi", capability, table: none, registers, descriptors, domain };
      const result = msiCapabilityInit(k, device, state);
      if (result === 0) return count;
      if (result < 0) return result;
      count = result;
    }
    return -errno.ENOSPC;
  },
);

/**
 * Turns MSI-X or MSI on, with as many vectors as there are to be had.
 * @returns their number, from `min` to `max`, or a negative errno.
 */
export const pciAllocIrqVectors = kernelFunction(
  "pci_alloc_irq_vectors_affinity",
  (k: Kernel, device: PciDevice, min: number, max: number, kind: Kind): number => {
    if (device.msi !== null || max < min || min < 1) return -errno.EINVAL;
    return (kind === "msix" ? enableMsixRange : enableMsiRange)(k, device, min, max);
  },
);

/** @returns the Linux irq of a vector, or a negative errno. */
export const pciIrqVector = kernelFunction(
  "pci_irq_vector",
  (_k: Kernel, device: PciDevice, index: number): number => {
    const { msi } = device;
    if (msi === null) return -errno.EINVAL;
    for (const descriptor of msi.descriptors) {
      const within = index - descriptor.index;
      if (within >= 0 && within < descriptor.used && descriptor.irq !== 0) return descriptor.irq + within;
    }
    return -errno.EINVAL;
  },
);

/** One more vector of MSI-X, while the others are in use: since 6.2. @returns its Linux irq, or a negative errno. */
export const pciMsixAllocIrqAt = kernelFunction(
  "pci_msix_alloc_irq_at",
  (k: Kernel, device: PciDevice, index: number): number => {
    const state = device.msi;
    if (state?.kind !== "msix" || index >= pciMsixVecCount(k, device)) return -errno.EINVAL;
    if (state.descriptors.some((one) => one.index === index)) return -errno.EEXIST;
    const descriptor = newDescriptor(index, 1, tableEntry.MASK_MASK);
    const result = msiDomainAllocIrqAt(k, state.domain, { device, state, descriptor });
    if (result !== 0) return result;
    state.descriptors.push(descriptor);
    return descriptor.irq;
  },
);

const msixShutdown = kernelFunction("pci_msix_shutdown", (_k: Kernel, device: PciDevice): void => {
  const state = device.msi!;
  for (const target of targetsOf(device, state)) setMasked(target, allBits(target), true);
  updateControl({ device, state }, msixControl.EN_MASK, 0);
  setIntx(device, true);
});

const msiShutdown = kernelFunction("pci_msi_shutdown", (_k: Kernel, device: PciDevice): void => {
  const state = device.msi!;
  updateControl({ device, state }, msiControl.EN_MASK, 0);
  setIntx(device, true);
  for (const target of targetsOf(device, state)) setMasked(target, allBits(target), false);
});

const freeMsiIrqs = kernelFunction("pci_free_msi_irqs", (k: Kernel, device: PciDevice): void => {
  const state = device.msi!;
  msiDomainFreeIrqs(k, state.domain, targetsOf(device, state));
  device.msi = null;
});

const disableMsix = kernelFunction("pci_disable_msix", (k: Kernel, device: PciDevice): void => {
  if (device.msi?.kind !== "msix") return;
  msixShutdown(k, device);
  freeMsiIrqs(k, device);
});

const disableMsi = kernelFunction("pci_disable_msi", (k: Kernel, device: PciDevice): void => {
  if (device.msi?.kind !== "msi") return;
  msiShutdown(k, device);
  freeMsiIrqs(k, device);
});

/** Turns MSI or MSI-X off and frees the interrupts; nothing may be requested on them any more. */
export const pciFreeIrqVectors = kernelFunction(
  "pci_free_irq_vectors",
  (k: Kernel, device: PciDevice): void => {
    disableMsix(k, device);
    disableMsi(k, device);
  },
);

/** After a reset or a resume the device has forgotten what was written to it. */
export const pciRestoreMsiState = kernelFunction(
  "pci_restore_msi_state",
  (k: Kernel, device: PciDevice): void => {
    const state = device.msi;
    if (state === null) return;
    const target = { device, state };
    const enable = state.kind === "msix" ? msixControl.EN_MASK : msiControl.EN_MASK;
    setIntx(device, false);
    if (state.kind === "msix") updateControl(target, 0, enable | msixControl.FM_MASK);
    else updateControl(target, enable, 0);
    for (const one of targetsOf(device, state)) {
      writeMessage(k, one, one.descriptor.message);
      setMasked(one, 0, false);
    }
    updateControl(target, state.kind === "msix" ? msixControl.FM_MASK : 0, enable);
  },
);
