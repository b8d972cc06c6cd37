import { Eventfd } from "../eventfd.ts";
import { type BusToken, busToken } from "../irq/domain.ts";
import type { PciDevice } from "../pci/device.ts";
import { enableIrX2apic } from "../remapping.ts";
import { ioctl } from "../syscall.ts";
import { type HostOptions, host, withMsix } from "../testbed.ts";
import type { Kernel } from "../kernel.ts";
import { type VfioFile, vfioOpenDevice } from "./file.ts";

/** A host with a device of so many MSI-X vectors that a VMM may open: for tests. */
export function passthrough(vectors: number, options: HostOptions = {}) {
  const machine = host(options);
  enableIrX2apic(machine.k);
  return { ...machine, ...machine.plug(0x0300, withMsix(vectors)) };
}

/** Opens a device, which must succeed. */
export function opened(k: Kernel, device: PciDevice): VfioFile {
  const file = vfioOpenDevice(k, device);
  if (typeof file === "number") throw new RangeError(`open: ${file}`);
  return file;
}

export function eventfds(count: number): Eventfd[] {
  return Array.from({ length: count }, (_, i) => new Eventfd(`vector ${i}`));
}

/** VFIO_DEVICE_SET_IRQS of MSI-X. */
export function setMsix(
  k: Kernel,
  file: VfioFile,
  start: number,
  triggers: readonly (Eventfd | null)[],
): number {
  return ioctl(k, file, {
    request: "VFIO_DEVICE_SET_IRQS",
    index: "msix",
    start,
    eventfds: triggers,
  } as { request: string });
}

const messageTokens = new Set<BusToken>([busToken.pciMsi, busToken.pciDeviceMsi, busToken.pciDeviceMsix]);

/** What must be empty when nobody uses the device any more. */
export function leftovers(k: Kernel) {
  return {
    producers: k.irqBypass.producers.size,
    consumers: k.irqBypass.consumers.size,
    devices: k.vfioDevices.size,
    handlers: [...k.irqs.descriptors.values()].filter(({ action }) => action?.name.startsWith("vfio")).length,
    interrupts: k.irqs.domains
      .filter(({ token }) => messageTokens.has(token))
      .reduce((sum, { mapped }) => sum + mapped, 0),
  };
}

export const nothingLeft = { producers: 0, consumers: 0, devices: 0, handlers: 0, interrupts: 0 };
