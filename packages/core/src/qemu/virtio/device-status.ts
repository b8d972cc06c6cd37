import { virtioFeature, virtioStatus } from "../../spec/virtio/pci.ts";
import { aioSetFdHandler } from "../aio/dispatch.ts";
import { eventNotifierTestAndClear } from "../event-notifier.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import type { VirtioDevice } from "./device.ts";
import type { VirtQueue } from "./queue.ts";

const virtioQueueNotifyVq = qemuFunction(
  "virtio_queue_notify_vq",
  (vmm: Vmm, device: VirtioDevice, queue: VirtQueue): void => {
    if (queue.enabled && device.fault === null) device.handleOutput(vmm, queue);
  },
  inlined,
);

const virtioQueueHostNotifierRead = qemuFunction(
  "virtio_queue_host_notifier_read",
  (vmm: Vmm, device: VirtioDevice, queue: VirtQueue): void => {
    if (eventNotifierTestAndClear(vmm, queue.hostNotifier)) virtioQueueNotifyVq(vmm, device, queue);
  },
);

/** The event loop sees to notifications of the queues from now on. */
const virtioQueueAioAttachHostNotifier = qemuFunction(
  "virtio_queue_aio_attach_host_notifier",
  (vmm: Vmm, device: VirtioDevice, queue: VirtQueue): void =>
    aioSetFdHandler(vmm, vmm.aio, queue.hostNotifier.eventfd, () =>
      virtioQueueHostNotifierRead(vmm, device, queue),
    ),
);

const virtioQueueAioDetachHostNotifier = qemuFunction(
  "virtio_queue_aio_detach_host_notifier",
  (vmm: Vmm, queue: VirtQueue): void => aioSetFdHandler(vmm, vmm.aio, queue.hostNotifier.eventfd, null),
);

/** Back to what the device is before a driver has found it. */
export const virtioReset = qemuFunction("virtio_reset", (vmm: Vmm, device: VirtioDevice): void => {
  for (const queue of device.queues) {
    virtioQueueAioDetachHostNotifier(vmm, queue);
    eventNotifierTestAndClear(vmm, queue.hostNotifier);
    queue.reset();
  }
  device.features = 0n;
  device.status = 0;
  device.isr = 0;
  device.configVector = 0xffff;
  device.fault = null;
  device.epoch++;
});

/** Only the modern interface is there: a driver that does not take it cannot go on. */
const featuresAcceptable = (device: VirtioDevice): boolean =>
  ((device.features >> BigInt(virtioFeature.version1)) & 1n) === 1n;

/** The driver writes the device status: zero resets. */
export const virtioSetStatus = qemuFunction(
  "virtio_set_status",
  (vmm: Vmm, device: VirtioDevice, status: number): void => {
    if (status === 0) {
      virtioReset(vmm, device);
      return;
    }
    const started = status & ~device.status & virtioStatus.driverOk;
    const refused = (status & virtioStatus.featuresOk) !== 0 && !featuresAcceptable(device);
    device.status =
      (refused ? status & ~virtioStatus.featuresOk : status) | (device.status & virtioStatus.needsReset);
    if (started === 0) return;
    for (const queue of device.queues) virtioQueueAioAttachHostNotifier(vmm, device, queue);
  },
);
