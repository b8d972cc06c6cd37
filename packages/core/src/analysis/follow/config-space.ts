import type { PciDevice } from "../../evidence/host/device.ts";
import { dword } from "../../evidence/kernel/words.ts";
import { capabilitiesIn } from "../../evidence/text/pci-config.ts";
import * as commandStatus from "../../spec/accessors/pci-command-status.ts";
import * as msiControl from "../../spec/accessors/msi-control.ts";
import { capabilityIds, configOffset, firstCapability } from "../../spec/pci/config-header.ts";

/** Port types of a PCI Express capability (PCIe 5.0 §7.5.3.2) that change requester ids. */
export const portTypes = { pcieToPci: 7, pciToPcie: 8 } as const;

/** Where a capability stands; null for a function without it, undefined where configuration space does not show it. */
export function capabilityAt({ config }: PciDevice, id: number): number | null | undefined {
  const bytes = config?.value;
  if (bytes === undefined || bytes.length < firstCapability) return undefined;
  const { list, complete } = capabilitiesIn(bytes);
  return list.find((at) => bytes[at] === id) ?? (complete ? null : undefined);
}

/** The port type of a PCI Express function; null for a function of conventional PCI. */
export function portTypeOf(device: PciDevice): number | null | undefined {
  const at = capabilityAt(device, capabilityIds.express);
  return at === null || at === undefined ? at : device.config!.value[at + 2]! >>> 4;
}

/** Bus Master Enable. */
export function masters({ config }: PciDevice): boolean | undefined {
  const bytes = config?.value;
  return bytes === undefined || bytes.length < 8
    ? undefined
    : commandStatus.bme(dword(bytes, configOffset.commandStatus)) === 1;
}

/** Whether the function's MSI capability can mask vectors. */
export function canMaskMsi(device: PciDevice): boolean | undefined {
  const at = capabilityAt(device, capabilityIds.msi);
  return at === null || at === undefined ? undefined : msiControl.pvm(dword(device.config!.value, at)) === 1;
}
