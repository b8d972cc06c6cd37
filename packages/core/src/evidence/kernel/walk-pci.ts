import { InputError } from "../input-error.ts";
import type { KernelStruct } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import { type KernelWalk, placeOf } from "./walk-context.ts";

/** Buses of a host that are believed. */
const busLimit = 1 << 16;

/** The PCI functions that the kernel knows, and what it says of each. Its saved configuration space is old and is not read. */
export function walkPci(walk: KernelWalk): void {
  const { kernel } = walk;
  const pending = [...listOf(kernel, walk.symbol("pci_root_buses"), "pci_bus", "node")];
  const seen = new Set(pending.map(({ address }) => address));
  for (let bus = pending.pop(); bus !== undefined; bus = pending.pop()) {
    const place = placeOf(bus);
    for (const child of listOf(kernel, bus.addressOf("children"), "pci_bus", "node")) {
      if (seen.has(child.address))
        throw new InputError(`${place}: expected each bus once, found one again below it`);
      if (seen.size >= busLimit) throw new InputError(`${place}: expected at most ${busLimit} PCI buses`);
      seen.add(child.address);
      pending.push(child);
    }
    walkBus(walk, bus);
  }
}

function walkBus(walk: KernelWalk, bus: KernelStruct): void {
  const number = bus.u8("number");
  // What a bus of x86 has as its sysdata.
  const segment = bus.follow("sysdata", "pci_sysdata")?.u32("domain") ?? 0;
  for (const device of listOf(walk.kernel, bus.addressOf("devices"), "pci_dev", "bus_list")) {
    const requester = (number << 8) | (device.u32("devfn") & 0xff);
    walk.attempt(`PCI function ${segment.toString(16)}:${requester.toString(16)}`, () =>
      walkDevice(walk, device, segment, requester),
    );
  }
}

function walkDevice(walk: KernelWalk, device: KernelStruct, segment: number, requester: number): void {
  const place = placeOf(device);
  const found = walk.draft.device(segment, requester);
  walk.devices.set(device.addressOf("dev"), { segment, requester });
  found.vendorId ??= walk.fact(device.u16("vendor"), place);
  found.deviceId ??= walk.fact(device.u16("device"), place);
  found.classCode ??= walk.fact(device.u32("class") & 0xff_ffff, place);
  const driver = device.follow("dev.driver", "device_driver")?.string("name");
  if (driver !== undefined) found.driver ??= walk.fact(driver, place);
  const group = device.follow("dev.iommu_group", "iommu_group");
  if (group !== undefined) found.group ??= walk.fact(group.s32("id"), placeOf(group));
  const unit = unitOf(walk, device);
  if (unit !== undefined) found.unit ??= walk.fact(unit, place);
  const msi = device.flag("msi_enabled");
  const msix = device.flag("msix_enabled");
  found.signals ??= walk.fact(msix ? "msix" : msi ? "msi" : "none", place);
  // While MSI is on, `irq` is that of its first message.
  if (!msi) found.lineIrq ??= walk.fact(device.u8("pin") === 0 ? 0 : device.u32("irq"), place);
  if (device.flag("is_virtfn")) {
    const physical = device.follow("physfn", "pci_dev");
    const bus = physical?.follow("bus", "pci_bus");
    if (physical !== undefined && bus !== undefined) {
      const owner = (bus.u8("number") << 8) | (physical.u32("devfn") & 0xff);
      found.physicalFunction ??= walk.fact(owner, place);
    }
  }
}

/** The name of the unit that the device's IOMMU driver has it under; without one it may still be remapped. */
function unitOf(walk: KernelWalk, device: KernelStruct): string | undefined {
  const { kernel } = walk;
  // dev.iommu since 5.6.
  if (!device.has("dev.iommu")) return undefined;
  const handle = device.follow("dev.iommu", "dev_iommu")?.pointer("iommu_dev") ?? 0n;
  if (handle === 0n) return undefined;
  for (const type of ["intel_iommu", "amd_iommu"]) {
    const member = kernel.types.type(type)?.member("iommu");
    if (member === undefined) continue;
    const unit = walk.units.get(handle - BigInt(member.bitOffset >>> 3));
    if (unit !== undefined) return unit.name;
  }
  return undefined;
}
