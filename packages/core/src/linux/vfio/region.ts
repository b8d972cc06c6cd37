import type { Width } from "../../hardware/pci/config-space.ts";
import { capabilityIds } from "../../spec/pci/config-header.ts";
import { msixCapability, msixEntryBytes } from "../../spec/pci/msix.ts";
import { decode, fromWords } from "../../spec/codec.ts";
import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { findCapability, readConfig } from "../pci/config.ts";
import type { PciAccess, PciDevice } from "../pci/device.ts";
import type { VfioDevice } from "./device.ts";

/** Where a device has its MSI-X table. */
export interface MsixTable {
  readonly bar: number;
  readonly offset: number;
  readonly bytes: number;
}

function tableOf(device: PciDevice): MsixTable | null {
  const capability = findCapability(device, capabilityIds.msix);
  if (capability === 0) return null;
  const words = Int32Array.from([0, 4, 8], (offset) => readConfig(device, capability + offset, 4));
  const { tablebir, tableoffset, size } = decode(msixCapability, fromWords(words, 0, 96));
  return { bar: Number(tablebir), offset: Number(tableoffset), bytes: (Number(size) + 1) * msixEntryBytes };
}

/** What VFIO tells of a BAR: VFIO_DEVICE_GET_REGION_INFO. */
export interface VfioRegionInfo {
  /** The MSI-X table, if the BAR holds it. */
  readonly msixTable: MsixTable | null;
  /**
   * The page that the table is in may be mapped like the rest of the BAR (VFIO_REGION_INFO_CAP_MSIX_MAPPABLE): its
   * messages are remapped by what the device is, not by what is written there. Before 4.16 a hole was left for it.
   */
  readonly msixMappable: boolean;
}

export function vfioRegionInfo(k: Kernel, { pci }: VfioDevice, bar: number): VfioRegionInfo {
  const table = tableOf(pci);
  const msixTable = table?.bar === bar ? table : null;
  return { msixTable, msixMappable: msixTable !== null && k.runs({ from: "4.16" }) };
}

/** Maps a BAR into the VMM: from now on loads and stores reach the device, and no file is asked. */
export function vfioMapBar({ pci }: VfioDevice, bar: number): Pick<PciAccess, "readBar" | "writeBar"> {
  const only = (asked: number): void => {
    if (asked !== bar) throw new RangeError(`BAR ${asked}: BAR ${bar} is mapped`);
  };
  return {
    readBar: (asked, offset, width) => {
      only(asked);
      return pci.removed ? 2 ** (8 * width) - 1 : pci.access.readBar(bar, offset, width);
    },
    writeBar: (asked, offset, width, value) => {
      only(asked);
      if (!pci.removed) pci.access.writeBar(bar, offset, width, value);
    },
  };
}

function inTable({ pci }: VfioDevice, bar: number, offset: number): boolean {
  const table = tableOf(pci);
  return table?.bar === bar && offset >= table.offset && offset < table.offset + table.bytes;
}

/** read(2) of a BAR; of the MSI-X table, ones. */
export const vfioPciBarRead = kernelFunction(
  "vfio_pci_bar_rw",
  (_k: Kernel, device: VfioDevice, bar: number, offset: number, width: Width): number =>
    inTable(device, bar, offset) ? 2 ** (8 * width) - 1 : vfioMapBar(device, bar).readBar(bar, offset, width),
);

/** write(2) to a BAR; what is meant for the MSI-X table is dropped. @returns 0, or -EIO when the device is gone. */
export const vfioPciBarWrite = kernelFunction(
  "vfio_pci_bar_rw",
  (_k: Kernel, device: VfioDevice, bar: number, offset: number, width: Width, value: number): number => {
    if (device.pci.removed) return -errno.EIO;
    if (!inTable(device, bar, offset)) vfioMapBar(device, bar).writeBar(bar, offset, width, value);
    return 0;
  },
);
