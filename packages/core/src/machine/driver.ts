import { freeIrq, irqSetAffinity, requestIrq } from "../linux/irq/manage.ts";
import type { Kernel } from "../linux/kernel.ts";
import type { PciDevice } from "../linux/pci/device.ts";
import { pciAllocIrqVectors, pciFreeIrqVectors, pciIrqVector } from "../linux/pci/msi.ts";
import { succeeded } from "./action-error.ts";

/** A device's driver in some kernel, a host's or a guest's: it has a handler for each vector. */
export class Driver {
  readonly #k: Kernel;
  readonly #device: PciDevice;
  readonly #onInterrupt: (vector: number) => void;
  /** Linux irq of each vector that is requested. */
  #irqs: number[] = [];
  #allocated = false;

  constructor(k: Kernel, device: PciDevice, onInterrupt: (vector: number) => void) {
    this.#k = k;
    this.#device = device;
    this.#onInterrupt = onInterrupt;
  }

  get vectors(): number {
    return this.#irqs.length;
  }

  /**
   * Allocates and requests vectors.
   * @param cpus Linux CPU numbers over which they are spread, if it is told.
   * @throws ActionError when the kernel refuses.
   */
  enable(kind: "msi" | "msix", vectors: number, cpus?: readonly number[]): void {
    const k = this.#k;
    const device = this.#device;
    succeeded(`${device.name}: pci_alloc_irq_vectors`, pciAllocIrqVectors(k, device, vectors, vectors, kind));
    this.#allocated = true;
    for (let vector = 0; vector < vectors; vector++) {
      const irq = pciIrqVector(k, device, vector);
      const handler = (): "handled" => {
        this.#onInterrupt(vector);
        return "handled";
      };
      succeeded(`${device.name}: request_irq`, requestIrq(k, irq, handler, `${device.name}-${vector}`, this));
      this.#irqs.push(irq);
      if (cpus !== undefined) this.move(vector, [cpus[vector % cpus.length]!]);
    }
  }

  /** @throws ActionError when the kernel refuses. */
  move(vector: number, cpus: readonly number[]): void {
    succeeded("smp_affinity", irqSetAffinity(this.#k, this.irq(vector), cpus));
  }

  /** @throws ActionError when the vector is not enabled. */
  irq(vector: number): number {
    const irq = this.#irqs[vector];
    return irq ?? succeeded(`${this.#device.name}: vector ${vector} is not enabled`, -22);
  }

  disable(): void {
    for (const irq of this.#irqs) freeIrq(this.#k, irq, this);
    if (this.#allocated) pciFreeIrqVectors(this.#k, this.#device);
    this.#irqs = [];
    this.#allocated = false;
  }
}
