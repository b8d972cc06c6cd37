import type { Width } from "../../hardware/pci/config-space.ts";
import * as msixControl from "../../spec/accessors/msix-control.ts";
import { decode } from "../../spec/codec.ts";
import { capabilityIds, configOffset, firstCapability } from "../../spec/pci/config-header.ts";
import { msixCapability } from "../../spec/pci/msix.ts";
import type { PciAccess } from "../../linux/pci/device.ts";
import { MemoryRegion, addSubregion } from "../memory/region.ts";
import type { PciBus } from "../pci/bus.ts";
import { EmulatedFunction } from "../pci/function.ts";
import { Msi } from "../pci/msi.ts";
import { Msix, msixWriteConfig } from "../pci/msix.ts";
import { qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { VfioDevice, type VfioOptions } from "./device.ts";
import { vfioMsiDisable, vfioMsiEnable, vfioUpdateMsi } from "./msi.ts";
import { vfioMsixDisable, vfioMsixEnable } from "./msix.ts";

const msixCapabilityBytes = 12;

/** The capability at an offset in the list that begins at the header, for as long as the list goes on. */
function* capabilities(access: PciAccess): Generator<{ readonly id: number; readonly at: number }> {
  const seen = new Set<number>();
  for (
    let at = access.readConfig(configOffset.capabilities, 1);
    at >= firstCapability && !seen.has(at);
    at = access.readConfig(at + 1, 1)
  ) {
    seen.add(at);
    yield { id: access.readConfig(at, 1), at };
  }
}

/** What of configuration space is QEMU's: the header's addresses, and the interrupt capabilities. */
function isEmulated({ msi, msix }: EmulatedFunction, offset: number): boolean {
  return (
    (offset >= configOffset.bar0 && offset < configOffset.bar0 + 24) ||
    (offset >= configOffset.capabilities && offset < configOffset.capabilities + 4) ||
    (msi !== null && offset >= msi.capability && offset < msi.capability + msi.bytes) ||
    (msix !== null && offset >= msix.capability && offset < msix.capability + msixCapabilityBytes)
  );
}

const vfioPciReadConfig = qemuFunction(
  "vfio_pci_read_config",
  (_vmm: Vmm, { fn, access }: VfioDevice, offset: number, width: Width): number =>
    isEmulated(fn, offset) ? fn.config.read(offset, width) : access.readConfig(offset, width),
);

/** The guest writes to configuration space: what VFIO lets through reaches the device, the rest is QEMU's affair. */
const vfioPciWriteConfig = qemuFunction(
  "vfio_pci_write_config",
  (vmm: Vmm, device: VfioDevice, offset: number, width: Width, value: number): void => {
    const { fn, access } = device;
    const { msi, msix } = fn;
    if (!isEmulated(fn, offset)) access.writeConfig(offset, width, value);
    const before = { msi: msi?.enabled ?? false, msix: msix?.enabled ?? false };
    fn.defaultWrite(vmm, offset, width, value);
    if (msi !== null && offset >= msi.capability && offset < msi.capability + msi.bytes) {
      if (!before.msi && msi.enabled) vfioMsiEnable(vmm, device);
      else if (before.msi && !msi.enabled) vfioMsiDisable(vmm, device);
      else if (before.msi) vfioUpdateMsi(vmm, device);
    }
    if (msix === null) return;
    msixWriteConfig(vmm, msix);
    if (!before.msix && msix.enabled) vfioMsixEnable(vmm, device);
    else if (before.msix && !msix.enabled) vfioMsixDisable(vmm, device);
  },
);

/** The BARs: all of each is mapped into the guest. */
function addBars(fn: EmulatedFunction, { access, regions, name }: VfioOptions): Map<number, MemoryRegion> {
  const containers = new Map<number, MemoryRegion>();
  for (const { index, size, kind, prefetchable = false } of regions) {
    const container = new MemoryRegion({ name: `${name} BAR ${index}`, size });
    const memory = {
      kind: "device",
      read: (offset: number, width: Width) => access.readBar(index, offset, width),
      write: (offset: number, width: Width, value: number) => access.writeBar(index, offset, width, value),
    } as const;
    addSubregion(container, 0, new MemoryRegion({ name: `${name} BAR ${index} mmaps[0]`, size, memory }));
    fn.registerBar({ index, size, kind, prefetchable }, container);
    containers.set(index, container);
  }
  return containers;
}

/** QEMU's own MSI or MSI-X, where the device has it: what the guest sees, instead of the device's. */
function addInterrupts(fn: EmulatedFunction, options: VfioOptions, bars: Map<number, MemoryRegion>): void {
  const { access } = options;
  // QEMU puts each capability in front of the list: the last of the device's own goes first.
  for (const { id, at } of [...capabilities(access)].reverse()) {
    const header = access.readConfig(at, 4) | 0;
    if (id === capabilityIds.msi) fn.msi = new Msi(fn, header, at);
    if (id !== capabilityIds.msix) continue;
    const words = [header, access.readConfig(at + 4, 4), access.readConfig(at + 8, 4)];
    const value = words.reduceRight((all, word) => (all << 32n) | BigInt(word >>> 0), 0n);
    const { tablebir, tableoffset, pbabir, pbaoffset } = decode(msixCapability, value);
    const msix = new Msix(fn, {
      vectors: msixControl.size(header) + 1,
      table: { bar: Number(tablebir), offset: Number(tableoffset) },
      pba: { bar: Number(pbabir), offset: Number(pbaoffset) },
      tableContainer: bars.get(Number(tablebir))!,
      pbaContainer: bars.get(Number(pbabir))!,
      at,
    });
    msix.pbaRegion.enabled = false;
    msix.tableRegion.enabled = options.noMsixEmulation !== true;
  }
}

/** Assigns a function of the host to the guest; the caller plugs {@link VfioDevice.fn} into the guest's bus. */
export const vfioRealize = qemuFunction("vfio_realize", (vmm: Vmm, options: VfioOptions): VfioDevice => {
  const { access } = options;
  const id = access.readConfig(configOffset.id, 4);
  const type = access.readConfig(configOffset.classRevision, 4);
  const fn = new EmulatedFunction({
    name: options.name,
    requester: options.requester,
    vendor: id & 0xffff,
    device: id >>> 16,
    classCode: type >>> 8,
    revision: type & 0xff,
  });
  const device = new VfioDevice(vmm, options, fn);
  addInterrupts(fn, options, addBars(fn, options));
  fn.configRead = (vmm, offset, width) => vfioPciReadConfig(vmm, device, offset, width);
  fn.configWrite = (vmm, offset, width, value) => vfioPciWriteConfig(vmm, device, offset, width, value);
  return device;
});

const vfioDisableInterrupts = qemuFunction(
  "vfio_disable_interrupts",
  (vmm: Vmm, device: VfioDevice): void => {
    if (device.interrupt === "msix") vfioMsixDisable(vmm, device);
    else if (device.interrupt === "msi") vfioMsiDisable(vmm, device);
  },
);

/** The device is unplugged from the guest. */
export const vfioExitfn = qemuFunction("vfio_exitfn", (vmm: Vmm, device: VfioDevice, bus: PciBus): void => {
  vfioDisableInterrupts(vmm, device);
  bus.unplug(device.fn);
});
