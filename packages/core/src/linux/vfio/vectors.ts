import { errno } from "../errno.ts";
import { type Eventfd, eventfdSignal } from "../eventfd.ts";
import type { IrqHandler } from "../irq/descriptor.ts";
import { freeIrq, requestIrq } from "../irq/manage.ts";
import { irqBypassRegisterProducer, irqBypassUnregisterProducer } from "../irqbypass.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import {
  getCachedMsiMsg,
  pciAllocIrqVectors,
  pciFreeIrqVectors,
  pciIrqVector,
  pciMsixAllocIrqAt,
  pciWriteMsiMsg,
} from "../pci/msi.ts";
import type { MsiState } from "../pci/msi-state.ts";
import { hashedPointer } from "../pointer.ts";
import type { VfioDevice, VfioVector } from "./device.ts";
import { withMemoryEnabled } from "./memory.ts";

type Kind = MsiState["kind"];

/** Since 6.4 vectors are kept one by one, and MSI-X vectors can be added while others are in use. */
const dynamic = { from: "6.4" };

/** An interrupt of the device has come to the host: nobody took it on the way. */
const vfioMsihandler: IrqHandler = kernelFunction(
  "vfio_msihandler",
  (k: Kernel, _irq: number, cookie: unknown): "handled" => {
    eventfdSignal(k, cookie as Eventfd);
    return "handled";
  },
);

/** @returns 0; a negative errno, or how many vectors there are where they are fewer: then none is kept. */
export const vfioMsiEnable = kernelFunction(
  "vfio_msi_enable",
  (k: Kernel, device: VfioDevice, count: number, kind: Kind): number =>
    withMemoryEnabled(k, device, () => {
      const allocated = pciAllocIrqVectors(k, device.pci, 1, count, kind);
      if (allocated < count) {
        if (allocated > 0) pciFreeIrqVectors(k, device.pci);
        return allocated;
      }
      device.irqType = kind;
      return 0;
    }),
  { inlined: true },
);

/** The Linux irq of a vector, allocated now if it was not. */
const vfioMsiAllocIrq = kernelFunction(
  "vfio_msi_alloc_irq",
  (k: Kernel, device: VfioDevice, vector: number, kind: Kind): number => {
    const irq = pciIrqVector(k, device.pci, vector);
    if (irq > 0 || kind !== "msix" || !k.runs(dynamic)) return irq;
    return withMemoryEnabled(k, device, () => pciMsixAllocIrqAt(k, device.pci, vector));
  },
  { inlined: true },
);

/** Takes what signals an eventfd apart. The interrupt stays allocated, until all are disabled. */
function release(k: Kernel, device: VfioDevice, vector: number, { producer, trigger }: VfioVector): void {
  irqBypassUnregisterProducer(k, producer);
  const irq = pciIrqVector(k, device.pci, vector);
  withMemoryEnabled(k, device, () => freeIrq(k, irq, trigger));
  device.vectors.delete(vector);
}

/** The message may have been lost with a reset that nobody knew of: it is written to the device again. */
function request(
  k: Kernel,
  device: VfioDevice,
  irq: number,
  name: string,
  trigger: Eventfd,
  kind: Kind,
): number {
  return withMemoryEnabled(k, device, () => {
    const message = kind === "msix" ? getCachedMsiMsg(k, irq) : undefined;
    if (message !== undefined) pciWriteMsiMsg(k, irq, message);
    return requestIrq(k, irq, vfioMsihandler, name, trigger);
  });
}

/**
 * Has a vector signal an eventfd, and offers its interrupt to whoever waits for that one. Where the offer fails, the
 * interrupt goes through the host as without it.
 * @param trigger null to have it signal nothing.
 */
const vfioMsiSetVectorSignal = kernelFunction(
  "vfio_msi_set_vector_signal",
  (k: Kernel, device: VfioDevice, vector: number, trigger: Eventfd | null, kind: Kind): number => {
    const { pci, vectors } = device;
    const before = vectors.get(vector);
    if (before !== undefined) release(k, device, vector, before);
    if (trigger === null) return 0;
    const irq = vfioMsiAllocIrq(k, device, vector, kind);
    if (irq < 0) return irq;
    const name = `vfio-${kind}[${vector}](${pci.name})`;
    const result = request(k, device, irq, name, trigger, kind);
    if (result !== 0) return result;
    const producer = { eventfd: null, irq, consumer: null };
    const registered = irqBypassRegisterProducer(k, producer, trigger, irq);
    if (registered !== 0) {
      const key = k.runs({ from: "6.17" }) ? "eventfd" : "token";
      k.log.info(
        `vfio-pci ${pci.name}: irq bypass producer (${key} ${hashedPointer(trigger.name)}) registration fails: ${registered}`,
      );
    }
    vectors.set(vector, { name, trigger, producer });
    return 0;
  },
);

/** A run of vectors, all or none. */
export const vfioMsiSetBlock = kernelFunction(
  "vfio_msi_set_block",
  (
    k: Kernel,
    device: VfioDevice,
    start: number,
    triggers: readonly (Eventfd | null)[],
    kind: Kind,
  ): number => {
    if (!k.runs(dynamic) && start + triggers.length > allocatedVectors(device)) return -errno.EINVAL;
    for (const [i, trigger] of triggers.entries()) {
      const result = vfioMsiSetVectorSignal(k, device, start + i, trigger, kind);
      if (result === 0) continue;
      for (let j = 0; j <= i; j++) vfioMsiSetVectorSignal(k, device, start + j, null, kind);
      return result;
    }
    return 0;
  },
);

function allocatedVectors({ pci }: VfioDevice): number {
  return pci.msi?.descriptors.reduce((sum, { used }) => sum + used, 0) ?? 0;
}

/** Turns the device's interrupts off; nothing of them is left. */
export const vfioMsiDisable = kernelFunction(
  "vfio_msi_disable",
  (k: Kernel, device: VfioDevice, kind: Kind): void => {
    for (const vector of device.vectors.keys()) vfioMsiSetVectorSignal(k, device, vector, null, kind);
    withMemoryEnabled(k, device, () => pciFreeIrqVectors(k, device.pci));
    device.irqType = null;
  },
);
