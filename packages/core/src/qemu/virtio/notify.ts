import { decode } from "../../spec/codec.ts";
import { virtioStatus } from "../../spec/virtio/pci.ts";
import { virtqAvailable } from "../../spec/virtio/ring.ts";
import { valueOf } from "../little-endian.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import type { DeviceFault, VirtioDevice } from "./device.ts";
import type { VirtQueue } from "./queue.ts";

const isrQueue = 1;
const isrConfig = 2;

const virtioNotifyVector = qemuFunction(
  "virtio_notify_vector",
  (vmm: Vmm, device: VirtioDevice, vector: number): void => {
    if (device.fault === null) device.transport?.notify(vmm, vector);
  },
  inlined,
);

const virtioIrq = qemuFunction(
  "virtio_irq",
  (vmm: Vmm, device: VirtioDevice, queue: VirtQueue): void => {
    device.isr |= isrQueue;
    virtioNotifyVector(vmm, device, queue.vector);
  },
  inlined,
);

const virtioShouldNotify = qemuFunction(
  "virtio_should_notify",
  ({ ram }: Vmm, queue: VirtQueue): boolean =>
    decode(virtqAvailable, valueOf(ram.read(queue.available, 4))).nointerrupt === 0,
  inlined,
);

/** Interrupts the guest for a queue, unless it does not want that. */
export const virtioNotify = qemuFunction(
  "virtio_notify",
  (vmm: Vmm, device: VirtioDevice, queue: VirtQueue): void => {
    if (virtioShouldNotify(vmm, queue)) virtioIrq(vmm, device, queue);
  },
  inlined,
);

const virtioNotifyConfig = qemuFunction("virtio_notify_config", (vmm: Vmm, device: VirtioDevice): void => {
  if ((device.status & virtioStatus.driverOk) === 0) return;
  device.isr |= isrConfig;
  virtioNotifyVector(vmm, device, device.configVector);
});

/** The guest broke the rules: the device tells it so and does nothing more until it is reset. @returns -1 */
export const virtioError = qemuFunction(
  "virtio_error",
  (vmm: Vmm, device: VirtioDevice, fault: DeviceFault): -1 => {
    device.status |= virtioStatus.needsReset;
    virtioNotifyConfig(vmm, device);
    device.fault = fault;
    return -1;
  },
);
