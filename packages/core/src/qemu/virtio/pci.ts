import { encode, toWords } from "../../spec/codec.ts";
import { capabilityIds } from "../../spec/pci/config-header.ts";
import { noVector, virtioCapability, virtioStructure, virtioVendor } from "../../spec/virtio/pci.ts";
import { eventNotifierSet } from "../event-notifier.ts";
import { valueOf } from "../little-endian.ts";
import { MemoryRegion, type RegionOps, addSubregion } from "../memory/region.ts";
import { EmulatedFunction } from "../pci/function.ts";
import { Msix, msixNotify, msixVectorUnuse, msixWriteConfig } from "../pci/msix.ts";
import { inlined, qemuFunction } from "../qemu-function.ts";
import type { Vmm } from "../vmm.ts";
import { virtioPciCommonRead, virtioPciCommonWrite } from "./common-config.ts";
import type { VirtioDevice } from "./device.ts";

/** Where QEMU has the structures: all in one BAR, a page each; and MSI-X in another. */
const modernBar = 4;
const msixBar = 1;
const structureBytes = 0x1000;
const modernBarBytes = 0x4000;
const msixBarBytes = 0x1000;
const pbaOffset = 0x800;

/** Distance of the notification addresses of two queues. */
const notifyMultiplier = 4;

const virtioPciIsrRead = qemuFunction("virtio_pci_isr_read", (_vmm: Vmm, { device }: VirtioPci): number => {
  const { isr } = device;
  device.isr = 0;
  return isr;
});

const virtioPciDeviceRead = qemuFunction(
  "virtio_pci_device_read",
  (_vmm: Vmm, { device }: VirtioPci, offset: number, size: number): bigint =>
    valueOf(device.config.subarray(offset, offset + size)),
);

/** The guest has put something into a queue: QEMU's event loop is told, and the vCPU goes on. */
const virtioQueueNotify = qemuFunction(
  "virtio_queue_notify",
  (vmm: Vmm, device: VirtioDevice, index: number): void => {
    const queue = device.queues[index];
    if (queue?.enabled === true && device.fault === null) eventNotifierSet(vmm, queue.hostNotifier);
  },
);

const virtioPciNotifyWrite = qemuFunction(
  "virtio_pci_notify_write",
  (vmm: Vmm, { device }: VirtioPci, offset: number): void =>
    virtioQueueNotify(vmm, device, Math.floor(offset / notifyMultiplier)),
);

/** A device's interrupt, as PCI has it. */
const virtioPciNotify = qemuFunction(
  "virtio_pci_notify",
  (vmm: Vmm, { msix }: VirtioPci, vector: number): void => {
    if (msix.enabled && vector !== noVector) msixNotify(vmm, msix, vector);
  },
  inlined,
);

const virtioWriteConfig = qemuFunction(
  "virtio_write_config",
  (vmm: Vmm, { fn, msix }: VirtioPci, offset: number, width: 1 | 2 | 4, value: number): void => {
    fn.defaultWrite(vmm, offset, width, value);
    msixWriteConfig(vmm, msix);
  },
);

/** `VirtIOPCIProxy`: a virtio device as a PCI function with the modern interface only. */
export class VirtioPci {
  readonly device: VirtioDevice;
  readonly fn: EmulatedFunction;
  readonly msix: Msix;
  deviceFeatureSelect = 0;
  driverFeatureSelect = 0;
  /** What the driver has written, as halves. */
  readonly driverFeatures = [0n, 0n];
  queueSelect = 0;

  constructor(device: VirtioDevice, options: VirtioPciOptions) {
    this.device = device;
    this.fn = new EmulatedFunction({ ...options, vendor: virtioVendor, revision: 1 });
    const bar = new MemoryRegion({ name: "virtio-pci", size: modernBarBytes });
    this.#addStructure(bar, "common", 0x0000, {
      read: (vmm, offset) => virtioPciCommonRead(vmm, this, offset),
      write: (vmm, offset, size, value) => virtioPciCommonWrite(vmm, this, offset, size, Number(value)),
    });
    this.#addStructure(bar, "isr", 0x1000, { read: (vmm) => virtioPciIsrRead(vmm, this), write: () => {} });
    this.#addStructure(bar, "device", 0x2000, {
      read: (vmm, offset, size) => virtioPciDeviceRead(vmm, this, offset, size),
      write: () => {},
    });
    this.#addStructure(bar, "notify", 0x3000, {
      read: () => 0,
      write: (vmm, offset) => virtioPciNotifyWrite(vmm, this, offset),
    });
    const msixRegion = new MemoryRegion({ name: "virtio-pci-msix", size: msixBarBytes });
    this.msix = new Msix(this.fn, {
      vectors: device.queues.length + 1,
      table: { bar: msixBar, offset: 0 },
      pba: { bar: msixBar, offset: pbaOffset },
      tableContainer: msixRegion,
      pbaContainer: msixRegion,
    });
    this.fn.registerBar({ index: msixBar, size: msixBarBytes }, msixRegion);
    this.fn.registerBar(
      { index: modernBar, size: modernBarBytes, kind: "memory64", prefetchable: true },
      bar,
    );
    this.fn.configWrite = (vmm, offset, width, value) => virtioWriteConfig(vmm, this, offset, width, value);
    device.transport = { notify: (vmm, vector) => virtioPciNotify(vmm, this, vector) };
  }

  /** What of the proxy a reset of the device takes back: selections, and the vectors that its queues use. */
  reset(): void {
    const { device, msix } = this;
    for (const vector of [device.configVector, ...device.queues.map((queue) => queue.vector)]) {
      if (vector !== noVector) msixVectorUnuse(msix, vector);
    }
    this.deviceFeatureSelect = this.driverFeatureSelect = this.queueSelect = 0;
    this.driverFeatures.fill(0n);
  }

  #addStructure(bar: MemoryRegion, type: keyof typeof virtioStructure, offset: number, ops: RegionOps): void {
    addSubregion(bar, offset, new MemoryRegion({ name: `virtio-pci-${type}`, size: structureBytes, ops }));
    const multiplier = type === "notify" ? [notifyMultiplier] : [];
    const capability = encode(virtioCapability, {
      id: capabilityIds.vendor,
      length: 16 + 4 * multiplier.length,
      type: virtioStructure[type],
      bar: modernBar,
      offset,
      bytes: structureBytes,
    });
    this.fn.addCapability(new Int32Array([...toWords(capability, 128), ...multiplier]));
  }
}

export interface VirtioPciOptions {
  readonly name: string;
  readonly requester: number;
  readonly device: number;
  readonly classCode: number;
}
