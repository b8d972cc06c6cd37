import { Thread } from "../hardware/call-stack.ts";
import { Eventfd, eventfdRead } from "../linux/eventfd.ts";
import type { Kernel } from "../linux/kernel.ts";
import { setMaster } from "../linux/pci/config.ts";
import { ioctl } from "../linux/syscall.ts";
import { type VfioFile, vfioOpenDevice } from "../linux/vfio/file.ts";
import { succeeded } from "./action-error.ts";
import type { Device } from "./device.ts";

/** A program that drives a device through VFIO by itself, as DPDK does. It was built without symbols. */
export class VfioProgram {
  readonly #k: Kernel;
  readonly #device: Device;
  readonly #file: VfioFile;
  readonly #thread: Thread;
  #eventfds: Eventfd[] = [];
  readonly #onReadable: () => void;

  /** @throws ActionError when VFIO does not let it have the device. */
  constructor(k: Kernel, device: Device, onReadable: () => void) {
    this.#k = k;
    this.#onReadable = onReadable;
    this.#device = device;
    this.#thread = new Thread(`program of ${device.name}`, { stripped: true });
    const file = vfioOpenDevice(k, device.pci);
    if (typeof file === "number") succeeded(`VFIO: ${device.pci.name}`, file);
    this.#file = file as VfioFile;
    setMaster(device.pci);
  }

  /** @throws ActionError when VFIO refuses. */
  enable(kind: "msi" | "msix", vectors: number): void {
    this.#eventfds = this.#device.sources.slice(0, vectors).map(({ vector }) => this.#eventfd(vector));
    const request = {
      request: "VFIO_DEVICE_SET_IRQS",
      index: kind,
      start: 0,
      eventfds: this.#eventfds,
    } as const;
    const result = this.#k.calls.run(this.#thread, () => ioctl(this.#k, this.#file, request));
    succeeded("VFIO_DEVICE_SET_IRQS", result);
  }

  #eventfd(vector: number): Eventfd {
    const eventfd = new Eventfd(`${this.#device.name}-${vector}`);
    eventfd.onReadable = this.#onReadable;
    return eventfd;
  }

  /** Reads what has become readable. */
  poll(): void {
    for (const [vector, eventfd] of this.#eventfds.entries()) {
      if (eventfdRead(eventfd) > 0) this.#device.sources[vector]!.handle();
    }
  }

  close(): void {
    this.#file.release(this.#k);
    this.#eventfds = [];
  }
}
