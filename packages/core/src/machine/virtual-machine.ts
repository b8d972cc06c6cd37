import { Thread } from "../hardware/call-stack.ts";
import type { Kernel } from "../linux/kernel.ts";
import { whyNotPosted } from "../linux/kvm/bypass.ts";
import { type PostingRefusal, postingRefusals } from "../linux/kvm/posting-refusal.ts";
import { timersDue } from "../linux/irq/vector-cleanup.ts";
import { vectors } from "../linux/irq/vectors.ts";
import { kvmCreateVcpu, kvmCreateVm, kvmDestroyVm } from "../linux/kvm/create.ts";
import { kvmVmFile } from "../linux/kvm/file.ts";
import { vcpuExitsToUser, vcpuRun } from "../linux/kvm/run.ts";
import type { Vcpu } from "../linux/kvm/vcpu.ts";
import type { KvmVm, KvmX86Ops } from "../linux/kvm/vm.ts";
import { setMaster } from "../linux/pci/config.ts";
import { PciDevice } from "../linux/pci/device.ts";
import type { File } from "../linux/syscall.ts";
import { vfioOpenDevice } from "../linux/vfio/file.ts";
import type { BlockBackend } from "../qemu/block/backend.ts";
import { Disk } from "../qemu/block/aio.ts";
import { GuestRam } from "../qemu/guest-ram.ts";
import { GuestVirtioBlk } from "../qemu/guest-virtio-blk.ts";
import { runMainLoop, runUntilIdle } from "../qemu/main-loop.ts";
import { PciBus } from "../qemu/pci/bus.ts";
import { regionsOf, type VfioDevice } from "../qemu/vfio/device.ts";
import { vfioExitfn, vfioRealize } from "../qemu/vfio/pci.ts";
import { VirtioBlk } from "../qemu/virtio/blk.ts";
import { Vmm } from "../qemu/vmm.ts";
import { printRequester } from "../spec/requester.ts";
import { succeeded } from "./action-error.ts";
import type { Clock } from "./clock.ts";
import { costs } from "./cost.ts";
import type { Device } from "./device.ts";
import { Driver } from "./driver.ts";
import { bootGuest } from "./guest.ts";
import { InterruptSource } from "./interrupt-source.ts";
import type { Processors } from "./processors.ts";
import type { VmSettings } from "./scenario/scenario.ts";

const ramBytes = 64 * 2 ** 20;
/** Of the guest's RAM, what its kernel may allocate; the disk's driver works below. */
const kernelFrom = 16 * 2 ** 20;
const diskWorkspace = 8 * 2 ** 20;
const firstSlot = 3;
const diskName = "disk";

/** A host's function in a guest. */
interface Assigned {
  readonly device: Device;
  readonly file: File;
  readonly vfio: VfioDevice;
  readonly driver: Driver;
}

/** A disk of the guest: the VMM's device, the guest's driver, and where the bytes are. */
interface GuestDisk {
  readonly blk: VirtioBlk;
  readonly driver: GuestVirtioBlk;
  readonly backend: BlockBackend;
}

export interface VirtualMachineParts {
  readonly k: Kernel;
  readonly ops: KvmX86Ops;
  readonly processors: Processors;
  readonly settings: VmSettings;
  /** Host physical address of its RAM. */
  readonly ramBase: number;
  readonly devices: readonly Device[];
  readonly disk: BlockBackend | null;
  readonly clock: Clock;
  /** Told when QEMU's main loop has something to do. */
  readonly onWork: () => void;
  /** Told of each vCPU before it runs. */
  readonly onVcpu: (vcpu: Vcpu) => void;
}

/** A QEMU process with its VM: the kernel's side, the VMM's, and the guest inside. */
export class VirtualMachine {
  readonly settings: VmSettings;
  readonly kvm: KvmVm;
  readonly vmm: Vmm;
  readonly guest: Kernel;
  readonly diskSource = new InterruptSource(diskName, 0);
  readonly #k: Kernel;
  readonly #processors: Processors;
  readonly #clock: Clock;
  readonly #bus: PciBus;
  readonly #file: File;
  readonly #assigned: Assigned[] = [];
  readonly #disk: {
    readonly blk: VirtioBlk;
    readonly driver: GuestVirtioBlk;
    readonly backend: BlockBackend;
  } | null;
  #diskDriver: Driver | null = null;

  /** @throws ActionError when the host refuses what the VMM asks for. */
  constructor(parts: VirtualMachineParts) {
    const { k, ops, settings, ramBase } = parts;
    this.settings = settings;
    this.#k = k;
    this.#processors = parts.processors;
    this.#clock = parts.clock;
    for (const cpu of settings.vcpus) this.#processors.checkFree(cpu);
    this.kvm =
      kvmCreateVm(k, { name: settings.name, ops, apicv: settings.apicv, ipiVirtualization: true }) ??
      (succeeded("KVM_CREATE_VM", -12), undefined!);
    k.kvm!.onWakeUp = (vcpu) => this.#processors.wake(vcpu);
    const threads = settings.vcpus.map((_, i) => new Thread(`${settings.name}: CPU ${i}/KVM`));
    for (const [i, thread] of threads.entries()) this.#createVcpu(i, thread);
    for (const vcpu of this.kvm.vcpus) parts.onVcpu(vcpu);
    this.#file = kvmVmFile(this.kvm);
    const ram = new GuestRam(k.memory, ramBase, ramBytes);
    this.vmm = new Vmm({ k, kvm: this.#file, ram, vcpuThreads: threads });
    this.vmm.onWork = parts.onWork;
    this.#bus = new PciBus(this.vmm);
    for (const [i, vcpu] of this.kvm.vcpus.entries()) {
      vcpuRun(k, vcpu, k.cpus[settings.vcpus[i]!]!);
      this.#processors.place(vcpu, settings.vcpus[i]!);
      this.vmm.vcpus[i]!.outside = (action) => this.#outside(vcpu, action);
    }
    this.guest = bootGuest(k.release, this.kvm.vcpus, k.memory, {
      from: ramBase + kernelFrom,
      to: ramBase + ramBytes,
    });
    let slot = firstSlot;
    try {
      for (const device of parts.devices) this.#assign(device, slot++);
      this.#disk = parts.disk === null ? null : this.#plugDisk(parts.disk, slot);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  #createVcpu(id: number, thread: Thread): void {
    const vcpu = kvmCreateVcpu(this.#k, this.kvm, id, thread);
    if (typeof vcpu === "number") succeeded("KVM_CREATE_VCPU", vcpu);
  }

  /** What the VMM does for an access of the guest is done outside the guest. */
  #outside(vcpu: Vcpu, action: () => void): void {
    if (!vcpu.inGuest) {
      action();
      return;
    }
    this.#clock.charge(costs.vmExit);
    this.#clock.charge(costs.userExit);
    vcpuExitsToUser(this.#k, vcpu, "mmio");
    action();
    vcpuRun(this.#k, vcpu, this.#k.cpus[vcpu.cpu!.number]!);
  }

  #assign(device: Device, slot: number): void {
    const k = this.#k;
    const file = vfioOpenDevice(k, device.pci);
    if (typeof file === "number") {
      succeeded(`VFIO: ${device.pci.name}`, file);
      return;
    }
    // VFIO has turned it off; the guest's driver turns it on, no matter when.
    setMaster(device.pci);
    const name = device.pci.name;
    const vfio = vfioRealize(this.vmm, {
      name,
      requester: slot << 3,
      file,
      access: device.fn,
      regions: regionsOf(device.fn),
      noMsixEmulation: this.settings.tableMapped,
    });
    const pci = this.#plug(vfio.fn.requester, () => this.#bus.plug(vfio.fn), this.#bus.access(vfio.fn));
    const driver = new Driver(this.guest, pci, (vector) => device.sources[vector]!.handle());
    this.#assigned.push({ device, file, vfio, driver });
  }

  #plug(requester: number, plug: () => void, access: PciDevice["access"]): PciDevice {
    plug();
    const pci = new PciDevice({ name: `0000:${printRequester(requester)}`, requester, access });
    this.guest.devices.push(pci);
    return pci;
  }

  #plugDisk(backend: BlockBackend, slot: number): GuestDisk {
    const blk = new VirtioBlk(new Disk(this.vmm, backend), { requester: slot << 3 });
    const { fn } = blk.pci;
    const access = this.#bus.access(fn);
    const pci = this.#plug(fn.requester, () => this.#bus.plug(fn), access);
    const driver = new GuestVirtioBlk({ access, memory: this.vmm.ram, workspace: diskWorkspace });
    this.#diskDriver = new Driver(this.guest, pci, () => {
      driver.onInterrupt();
      this.diskSource.handle();
    });
    this.#diskDriver.enable("msix", 1);
    driver.start();
    return { blk, driver, backend };
  }

  vcpu(number: number): Vcpu {
    return this.kvm.vcpus[number]!;
  }

  /** The driver in the guest of a device of the host's. */
  driverOf(device: Device): Driver | undefined {
    return this.#assigned.find((one) => one.device === device)?.driver;
  }

  /** Which conditions keep interrupts of the guest's devices from being posted, and how many each. */
  whyNotPosted(): string[] {
    const counts = new Map<PostingRefusal, number>();
    for (const irqfd of this.kvm.interrupts.irqfds) {
      const refusal = whyNotPosted(this.#k, irqfd);
      if (refusal !== null) counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
    }
    return [...counts].map(([refusal, count]) => `${count} not posted: ${postingRefusals[refusal]}`);
  }

  /** Enables a device's vectors as its driver in the guest does. @throws ActionError when the guest's kernel refuses. */
  enable(device: Device, kind: "msi" | "msix", vectors: number, cpus?: readonly number[]): void {
    this.driverOf(device)!.enable(kind, vectors, cpus);
    this.settle();
  }

  /** The guest writes an entry of its MSI-X table, as it sees it. */
  writeTable(device: Device, vector: number, address: number, data: number): void {
    const { vfio } = this.#assigned.find((one) => one.device === device)!;
    const access = this.#bus.access(vfio.fn);
    const { tablePlace } = device.fn.msix!;
    const at = tablePlace.offset + 16 * vector;
    access.writeBar(tablePlace.bar, at, 4, address | 0);
    access.writeBar(tablePlace.bar, at + 4, 4, Math.floor(address / 2 ** 32) | 0);
    access.writeBar(tablePlace.bar, at + 8, 4, data | 0);
    this.settle();
  }

  /** Lets QEMU's main loop and the processors do what there is to do. */
  settle(): void {
    runMainLoop(this.vmm);
    this.#processors.settle();
  }

  /**
   * The guest reads sectors of its disk.
   * @returns what it read, and what the image holds there.
   */
  async readDisk(sector: number, count: number): Promise<{ read: Uint8Array; image: Uint8Array }> {
    const { driver, backend } = this.#disk!;
    const request = driver.read(sector, count);
    this.diskSource.raise();
    await this.#finish();
    const image = await backend.read(512 * sector, 512 * count);
    return { read: request.data, image };
  }

  /** The guest writes one sector. @returns the status that its disk answered. */
  async writeDisk(sector: number, text: string): Promise<number | null> {
    const bytes = new Uint8Array(512);
    bytes.set(Uint8Array.from(text.slice(0, 512), (character) => character.codePointAt(0)! & 0xff));
    const request = this.#disk!.driver.write(sector, bytes);
    this.diskSource.raise();
    await this.#finish();
    return request.status;
  }

  async #finish(): Promise<void> {
    await runUntilIdle(this.vmm);
    this.#processors.settle();
  }

  /** A device is pulled out: QEMU gives it back. */
  unplug(device: Device): void {
    const at = this.#assigned.findIndex((one) => one.device === device);
    if (at < 0) return;
    const [{ vfio, file, driver }] = this.#assigned.splice(at, 1) as [Assigned];
    driver.disable();
    vfioExitfn(this.vmm, vfio, this.#bus);
    file.release?.(this.#k);
  }

  /** Timers of the guest's APICs expire: KVM, which counts their time, delivers the interrupt. */
  fireTimers(): void {
    for (const { number } of timersDue(this.guest)) {
      this.kvm.ops.deliverInterrupt(this.#k, this.vcpu(number), vectors.LOCAL_TIMER);
    }
  }

  /** The process ends. */
  stop(): void {
    this.#diskDriver?.disable();
    this.#disk?.blk.unplug(this.#bus);
    while (this.#assigned.length > 0) this.unplug(this.#assigned[0]!.device);
    this.#file.release?.(this.#k);
    const vcpus = [...this.kvm.vcpus];
    kvmDestroyVm(this.#k, this.kvm);
    for (const vcpu of vcpus) this.#processors.forget(vcpu);
  }
}
