import { readLspci } from "../text/lspci.ts";
import type { HostDraft } from "./draft.ts";
import { fact } from "./fact.ts";
import { lineOf } from "./file-reader.ts";
import { addConfig } from "./read-pci.ts";

/** Adds what lspci printed; the lines that were understood. */
export function addPciText(text: string, source: string, draft: HostDraft): ReadonlySet<number> {
  const { devices, lines } = readLspci(text);
  for (const read of devices) {
    const origin = lineOf(source, read.line);
    const device = draft.device(read.segment, read.requester);
    if (read.config !== null) addConfig(device, read.config, origin);
    const { vendorId, deviceId, classCode, driver, group, msi, msix, irq } = read;
    if (vendorId !== null) device.vendorId ??= fact(vendorId, origin);
    if (deviceId !== null) device.deviceId ??= fact(deviceId, origin);
    if (classCode !== null) device.classCode ??= fact(classCode, origin);
    if (driver !== null) device.driver ??= fact(driver, origin);
    if (group !== null) device.group ??= fact(group, origin);
    if (msi !== null) device.msi ??= fact(msi, origin);
    if (msix !== null) device.msix ??= fact(msix, origin);
    // While MSI is on, what is printed is not the pin's.
    const known = msi !== null || msix !== null || device.config !== undefined;
    if (irq !== null && known && device.msi?.value.enabled !== true) device.lineIrq ??= fact(irq, origin);
  }
  const denied = devices.filter((device) => device.denied).length;
  if (denied > 0) {
    draft.missing.push({
      what: `capabilities of ${denied} PCI functions`,
      why: `${source}: access denied`,
      needs: "root: lspci does not show them to others",
    });
  }
  return lines;
}
