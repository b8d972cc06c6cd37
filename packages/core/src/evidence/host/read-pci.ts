import { pciAddressOf } from "../text/pci-address.ts";
import { readPciConfig } from "../text/pci-config.ts";
import type { PciDevice } from "./device.ts";
import type { Draft, HostDraft } from "./draft.ts";
import { type Origin, fact } from "./fact.ts";
import type { FileReader } from "./file-reader.ts";
import { addOwner } from "./read-units.ts";

const folder = "sys/bus/pci/devices";
const what = "PCI devices in sysfs";
/** Bytes of configuration space. */
const configLimit = 4096;

/** Adds the PCI functions that sysfs has, and of those that only /proc has their configuration space. */
export function readPciDevices(files: FileReader, draft: HostDraft): void {
  for (const name of files.names(folder)) {
    const address = pciAddressOf(name);
    if (address === undefined) continue;
    const device = draft.device(address.segment, address.requester);
    addAttributes(files, device, `${folder}/${name}`, draft);
  }
  readProcBus(files, draft);
}

function addAttributes(files: FileReader, device: Draft<PciDevice>, path: string, draft: HostDraft): void {
  const config = `${path}/config`;
  const bytes = files.bytes(config, "configuration space", configLimit);
  const numbers = { vendor: "vendorId", device: "deviceId", class: "classCode" } as const;
  // A virtual function has all ones for its ids in its own configuration space: the files know better.
  for (const [file, key] of Object.entries(numbers) as [keyof typeof numbers, "vendorId"][]) {
    const value = files.value(`${path}/${file}`, what);
    if (value !== undefined && /^0x[0-9a-fA-F]{1,6}$/.test(value)) {
      device[key] ??= fact(Number(value), { source: `${path}/${file}` });
    }
  }
  if (bytes !== undefined) addConfig(device, bytes, { source: config });

  const driver = files.linkName(`${path}/driver`);
  if (driver !== undefined) device.driver ??= fact(driver, { source: `${path}/driver` });
  const group = files.linkName(`${path}/iommu_group`);
  if (group !== undefined && /^\d{1,9}$/.test(group)) {
    device.group ??= fact(Number(group), { source: `${path}/iommu_group` });
  }
  const unit = files.linkName(`${path}/iommu`);
  if (unit !== undefined && /^(?:dmar|ivhd)\d{1,4}$/.test(unit)) {
    device.unit ??= fact(unit, { source: `${path}/iommu` });
    addOwner(files.link(`${path}/iommu`), `${path}/iommu`, draft);
  }
  const physical = pciAddressOf(files.linkName(`${path}/physfn`) ?? "");
  if (physical !== undefined) {
    device.physicalFunction ??= fact(physical.requester, { source: `${path}/physfn` });
  }
  addIrqs(files, device, path);
}

function addIrqs(files: FileReader, device: Draft<PciDevice>, path: string): void {
  const source = `${path}/msi_irqs`;
  const irqs = files.numbers(source).map((irq) => {
    const kind = files.value(`${source}/${irq}`, what);
    return { irq, kind: kind === "msi" || kind === "msix" ? kind : undefined };
  });
  const known = irqs.filter((row): row is { irq: number; kind: "msi" | "msix" } => row.kind !== undefined);
  if (known.length > 0) device.messageIrqs ??= fact(known, { source });
  // While MSI is in use, this file has the interrupt of the first message and not that of the pin.
  const line = files.value(`${path}/irq`, what);
  const pin = device.msi !== undefined ? !device.msi.value.enabled : device.config !== undefined;
  const isMessage = irqs.some(({ irq }) => irq === Number(line));
  if (line !== undefined && /^\d{1,9}$/.test(line) && pin && !isMessage) {
    device.lineIrq ??= fact(Number(line), { source: `${path}/irq` });
  }
}

/** Adds a function's configuration space and what it says. */
export function addConfig(device: Draft<PciDevice>, bytes: Uint8Array, origin: Origin): void {
  if (bytes.length === 0) return;
  if (device.config === undefined || bytes.length > device.config.value.length) {
    device.config = fact(bytes, origin);
  }
  const config = readPciConfig(bytes);
  if (config === undefined) return;
  const placed = (place: string): Origin => ({ ...origin, place });
  if (config.vendorId !== 0xffff) {
    device.vendorId ??= fact(config.vendorId, placed("offset 0x0"));
    device.deviceId ??= fact(config.deviceId, placed("offset 0x2"));
  }
  device.classCode ??= fact(config.classCode, placed("offset 0x9"));
  if (config.msi !== undefined) device.msi ??= fact(config.msi, origin);
  if (config.msix !== undefined) device.msix ??= fact(config.msix, origin);
}

const procBus = "proc/bus/pci";

/** /proc/bus/pci/BUS/DEVICE.FUNCTION is configuration space too; sosreport has it and not sysfs's. */
function readProcBus(files: FileReader, draft: HostDraft): void {
  for (const bus of files.names(procBus)) {
    const prefix = bus.includes(":") ? bus : `0000:${bus}`;
    if (!/^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}$/.test(prefix)) continue;
    for (const name of files.names(`${procBus}/${bus}`)) {
      const address = pciAddressOf(`${prefix}:${name}`);
      if (address === undefined) continue;
      const device = draft.device(address.segment, address.requester);
      if (device.config !== undefined && device.config.value.length >= 256) continue;
      const source = `${procBus}/${bus}/${name}`;
      const bytes = files.bytes(source, "configuration space", configLimit);
      if (bytes !== undefined) addConfig(device, bytes, { source });
    }
  }
}
