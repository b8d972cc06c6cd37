import * as msiControl from "../../spec/accessors/msi-control.ts";
import * as tableEntry from "../../spec/accessors/msix-table-entry.ts";
import { msixEntryBytes } from "../../spec/pci/msix.ts";
import { errno } from "../errno.ts";
import type { MsiMessage } from "../irq/chip.ts";
import type { IrqData } from "../irq/descriptor.ts";
import { type MsiTarget, msiTargetOf } from "../irq/msi.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { readConfig, writeBar, writeConfig } from "./config.ts";

/** Changes bits of Message Control, which is the upper half of the capability's first dword; masks are the dword's. */
export function updateControl(
  { device, state }: MsiTarget | Omit<MsiTarget, "descriptor">,
  clear: number,
  set: number,
): void {
  const at = state.capability + 2;
  const before = readConfig(device, at, 2);
  writeConfig(device, at, 2, (before & ~(clear >>> 16)) | (set >>> 16));
}

const entryWord = {
  addressLow: 0,
  addressHigh: 4,
  data: 4 * tableEntry.DATA_WORD,
  control: 4 * tableEntry.MASK_WORD,
};

function writeEntry(
  { device, state, descriptor }: MsiTarget,
  word: keyof typeof entryWord,
  value: number,
): void {
  const { bar, offset } = state.table;
  writeBar(device, bar, offset + descriptor.index * msixEntryBytes + entryWord[word], value);
}

/** An entry that is live is masked while its three dwords change. */
function writeMsix(target: MsiTarget, { addressLow, addressHigh, data }: MsiMessage): void {
  const { mask } = target.descriptor;
  const live = tableEntry.maskOf(mask) === 0;
  if (live) writeEntry(target, "control", mask | tableEntry.MASK_MASK);
  writeEntry(target, "addressLow", addressLow);
  writeEntry(target, "addressHigh", addressHigh);
  writeEntry(target, "data", data);
  if (live) writeEntry(target, "control", mask);
}

function writeMsi(target: MsiTarget, { addressLow, addressHigh, data }: MsiMessage): void {
  const { device, state, descriptor } = target;
  const multiple = Math.ceil(Math.log2(descriptor.used));
  updateControl(target, msiControl.MME_MASK, multiple << msiControl.MME_SHIFT);
  writeConfig(device, state.capability + 4, 4, addressLow);
  if (state.registers.upper !== 0) writeConfig(device, state.registers.upper, 4, addressHigh);
  writeConfig(device, state.registers.data, 2, data & 0xffff);
}

/** Writes a message to its device, if that is there, and remembers it. */
export const writeMessage = kernelFunction(
  "__pci_write_msi_msg",
  (_k: Kernel, target: MsiTarget, message: MsiMessage): void => {
    if (target.state.kind === "msix") writeMsix(target, message);
    else writeMsi(target, message);
    Object.assign(target.descriptor.message, message);
  },
);

/** `irq_write_msi_msg` of the chips: of a multi-MSI block only the first interrupt has a message. */
export const pciMsiDomainWriteMsg = kernelFunction(
  "pci_msi_domain_write_msg",
  (k: Kernel, data: IrqData, message: MsiMessage): void => {
    const target = data.chipData as MsiTarget;
    if (target.descriptor.irq === data.irq) writeMessage(k, target, message);
  },
);

/** @returns 0, or a negative errno when the interrupt is no message. */
export const pciWriteMsiMsg = kernelFunction(
  "pci_write_msi_msg",
  (k: Kernel, irq: number, message: MsiMessage): number => {
    const target = msiTargetOf(k, irq);
    if (target === undefined) return -errno.EINVAL;
    writeMessage(k, target, message);
    return 0;
  },
);

/** The message as last written to the device; undefined when the interrupt is none. */
export const getCachedMsiMsg = kernelFunction(
  "get_cached_msi_msg",
  (k: Kernel, irq: number): MsiMessage | undefined => {
    const message = msiTargetOf(k, irq)?.descriptor.message;
    return message && { ...message };
  },
);

/** Masks or unmasks vectors: of MSI, the bits given, if the capability has such; of MSI-X, the entry. */
export function setMasked(target: MsiTarget, bits: number, masked: boolean): void {
  const { device, state, descriptor } = target;
  descriptor.mask = masked ? descriptor.mask | bits : descriptor.mask & ~bits;
  if (state.kind === "msix") writeEntry(target, "control", descriptor.mask);
  else if (state.registers.mask !== 0) writeConfig(device, state.registers.mask, 4, descriptor.mask);
}

/** All vectors of a descriptor, as {@link setMasked} takes them. */
export function allBits({ state, descriptor }: MsiTarget): number {
  if (state.kind === "msix") return tableEntry.MASK_MASK;
  return -1 >>> (32 - 2 ** Math.ceil(Math.log2(descriptor.used)));
}

function bitsOf(data: IrqData): number {
  const target = data.chipData as MsiTarget;
  return target.state.kind === "msix" ? tableEntry.MASK_MASK : 1 << (data.irq - target.descriptor.irq);
}

const masking =
  (masked: boolean) =>
  (_k: Kernel, data: IrqData): void => {
    setMasked(data.chipData as MsiTarget, bitsOf(data), masked);
  };

/** `irq_mask` and `irq_unmask` of the chips, by release and kind. */
export const maskFunctions = {
  old: {
    mask: kernelFunction("pci_msi_mask_irq", masking(true)),
    unmask: kernelFunction("pci_msi_unmask_irq", masking(false)),
  },
  msi: {
    mask: kernelFunction("pci_irq_mask_msi", masking(true)),
    unmask: kernelFunction("pci_irq_unmask_msi", masking(false)),
  },
  msix: {
    mask: kernelFunction("pci_irq_mask_msix", masking(true)),
    unmask: kernelFunction("pci_irq_unmask_msix", masking(false)),
  },
} as const;
