import { type CallListener, Calls } from "../hardware/call-stack.ts";
import { Outcome } from "../hardware/delivery.ts";
import type { Observer } from "../hardware/event.ts";
import { bootKernel } from "../linux/boot.ts";
import { fireTimers } from "../linux/irq/vector-cleanup.ts";
import { Kernel } from "../linux/kernel.ts";
import type { KvmX86Ops } from "../linux/kvm/vm.ts";
import type { Vcpu } from "../linux/kvm/vcpu.ts";
import type { ThreadState } from "../linux/posting/words.ts";
import { svmX86Ops } from "../linux/kvm/svm/ops.ts";
import { vmxX86Ops } from "../linux/kvm/vmx/ops.ts";
import type { BlockBackend } from "../qemu/block/backend.ts";
import { ActionError } from "./action-error.ts";
import { Clock } from "./clock.ts";
import { costs } from "./cost.ts";
import { Device } from "./device.ts";
import { entriesOf } from "./entries.ts";
import { HpetTimer } from "./hpet-timer.ts";
import { Baseline } from "./leaks.ts";
import { type Totals, exitsOf, totalsOf } from "./totals.ts";
import type { VcpuCounts } from "../linux/kvm/counts.ts";
import { Driver } from "./driver.ts";
import { FaultTally } from "./fault-tally.ts";
import { Hardware } from "./hardware.ts";
import type { InterruptSource } from "./interrupt-source.ts";
import { Processors } from "./processors.ts";
import type { MachineSettings, Scenario, VmSettings } from "./scenario/scenario.ts";
import { VfioProgram } from "./vfio-program.ts";
import { VirtualMachine } from "./virtual-machine.ts";

/** Host physical memory: the kernel's own, what a kdump kernel has for itself, devices' buffers, guests' RAM. */
const place = {
  kernel: { from: 0x0100_0000, to: 0x2000_0000 },
  crashKernel: { from: 0x2000_0000, to: 0x3000_0000 },
  buffers: 0x4000_0000,
  bufferBytes: 0x10_0000,
  guests: 0x1_0000_0000,
  guestBytes: 0x1_0000_0000,
} as const;

/** A timer ticks 250 times a second. */
const tickSeconds = 0.004;

/** The release of QEMU that the VMM's functions follow. */
export const qemuRelease = "9.2";

/** KVM's side of a vendor. */
export function opsOf(vendor: MachineSettings["vendor"]): KvmX86Ops {
  return vendor === "intel" ? vmxX86Ops : svmX86Ops;
}

export interface MachineOptions {
  readonly clock: Clock;
  readonly observer?: Observer;
}

/** One machine, put together from a scenario: hardware, the kernel on it, drivers, programs and guests. */
export class Machine {
  readonly scenario: Scenario;
  readonly clock: Clock;
  readonly calls: Calls;
  readonly hardware: Hardware;
  readonly processors: Processors;
  readonly faults = new FaultTally();
  readonly devices = new Map<string, Device>();
  readonly vms = new Map<string, VirtualMachine>();
  /** Drivers of the host's kernel, and programs that hold a device through VFIO, by the device. */
  readonly drivers = new Map<Device, Driver>();
  readonly programs = new Map<Device, VfioProgram>();
  kernel: Kernel;
  hpet: HpetTimer | null = null;
  /** What the kernel had right after its boot; null before. */
  baseline: Baseline | null = null;
  /** The words of every KVM that the kernel has had loaded. */
  readonly threadStates = new Set<ThreadState>();
  /** Told of each vCPU before it runs. */
  onVcpu: ((vcpu: Vcpu, name: string) => void) | null = null;
  #userspaceWoken = false;
  readonly #kernels: Kernel[] = [];
  readonly #guests: Kernel[] = [];
  readonly #vcpus: VcpuCounts[] = [];
  readonly #diskSources: InterruptSource[] = [];
  /** Interrupts that a device brought past its entries. */
  hijacked = 0;

  constructor(scenario: Scenario, { clock, observer }: MachineOptions) {
    this.scenario = scenario;
    this.clock = clock;
    this.calls = new Calls({ kernel: scenario.kernel, user: qemuRelease });
    this.hardware = new Hardware({
      settings: scenario.machine,
      onBlocked: (fault) => this.faults.count(fault),
      onDoorbell: (apicId) => this.processors.ring(apicId),
      ...(observer !== undefined && { observer }),
    });
    this.kernel = this.#newKernel(scenario.machine, false);
    this.processors = new Processors(this.kernel, this.hardware.cpus, this.hardware.apics, clock);
    for (const settings of scenario.devices) {
      const device = new Device(settings, this.hardware.plug(settings), this.hardware.unit);
      this.devices.set(settings.name, device);
      this.kernel.devices.push(device.pci);
      this.#confineToHost(device);
    }
  }

  #newKernel({ cmdline }: MachineSettings, kdump: boolean): Kernel {
    const { memory, cpus, cpuCache, observer } = this.hardware;
    return new Kernel({
      release: this.scenario.kernel,
      memory,
      ram: kdump ? place.crashKernel : place.kernel,
      calls: this.calls,
      cpus,
      firmware: this.hardware.firmware(kdump),
      commandLine: cmdline,
      ...(cpuCache !== undefined && { cpuCache }),
      ...(observer !== undefined && { observer }),
    });
  }

  #confine({ settings, fn }: Device, from: number, bytes: number): void {
    if (settings.confined) this.hardware.root.confine(fn.requester, [{ from, to: from + bytes }]);
  }

  /** The buffers that the host has for a device. */
  #confineToHost(device: Device): void {
    const from = place.buffers + this.scenario.devices.indexOf(device.settings) * place.bufferBytes;
    this.#confine(device, from, place.bufferBytes);
  }

  /** @param listener null for nobody. */
  listen(listener: CallListener | null): void {
    this.calls.listener = listener;
  }

  boot(): void {
    this.#kernels.push(this.kernel);
    bootKernel(this.kernel);
    this.processors.kernel = this.kernel;
    this.baseline = new Baseline(this.kernel, this.hardware);
    if (this.hardware.hpet !== undefined) this.hpet = new HpetTimer(this.kernel, this.hardware.hpet);
    this.settle();
  }

  /**
   * The kernel stops where it is, and another one boots in memory of its own, on hardware that goes on as it was.
   * @throws ActionError when that has happened before.
   */
  crash(): void {
    if (this.#kernels.length > 1) throw new ActionError("kdump's kernel has no other to crash into");
    // The processors leave guest mode for good; what ran there is gone with its kernel.
    for (const { kvm } of this.vms.values()) for (const vcpu of kvm.vcpus) this.processors.place(vcpu, null);
    this.vms.clear();
    this.threadStates.clear();
    this.kernel = this.#newKernel(this.scenario.machine, true);
    for (const device of this.devices.values()) {
      if (device.pci.removed) continue;
      device.forget();
      this.kernel.devices.push(device.pci);
    }
    this.drivers.clear();
    this.programs.clear();
    this.boot();
  }

  /** @throws ActionError when the VM runs already, or the host refuses it something. */
  async start(settings: VmSettings, disk: BlockBackend | null): Promise<VirtualMachine> {
    if (this.vms.has(settings.name)) throw new ActionError(`${settings.name} runs already`);
    const ramBase = place.guests + this.scenario.vms.indexOf(settings) * place.guestBytes;
    const devices = settings.devices.map((name) => this.device(name));
    const vm = new VirtualMachine({
      k: this.kernel,
      ops: opsOf(this.hardware.settings.vendor),
      processors: this.processors,
      settings,
      ramBase,
      devices,
      disk,
      clock: this.clock,
      onWork: this.wakeUserspace,
      onVcpu: (vcpu) => this.onVcpu?.(vcpu, `${settings.name}/${vcpu.id}`),
    });
    for (const device of devices) this.#confine(device, ramBase, place.guestBytes);
    this.threadStates.add(this.kernel.kvm!.state);
    this.vms.set(settings.name, vm);
    if (disk !== null) this.#diskSources.push(vm.diskSource);
    this.#guests.push(vm.guest);
    this.#vcpus.push(...vm.kvm.vcpus.map(({ counts }) => counts));
    vm.settle();
    return vm;
  }

  stop(name: string): void {
    const vm = this.vm(name);
    vm.stop();
    for (const one of vm.settings.devices) {
      const device = this.device(one);
      this.#confineToHost(device);
      device.enabled = 0;
    }
    this.vms.delete(name);
    this.settle();
  }

  device(name: string): Device {
    return this.devices.get(name)!;
  }

  /** @throws ActionError when it was not started. */
  vm(name: string): VirtualMachine {
    const vm = this.vms.get(name);
    if (vm === undefined) throw new ActionError(`${name} does not run`);
    return vm;
  }

  /** The VM that has a device, if one does. */
  ownerOf(device: Device): VirtualMachine | undefined {
    return [...this.vms.values()].find((vm) => vm.driverOf(device) !== undefined);
  }

  /** A device raises a vector; nobody has taken it yet. */
  raise(device: Device, vector: number): void {
    const { clock } = this;
    const { unit } = this.hardware;
    clock.charge(costs.msiWrite);
    if (unit !== undefined) {
      clock.charge(costs.iommuCacheHit);
      unit.last = Outcome.passed;
    }
    device.raise(vector);
    if (unit?.last === Outcome.posted) clock.charge(costs.descriptorPost);
  }

  /** Entries of the devices' vectors that are present, by their mode. */
  entries(): { readonly remapped: number; readonly posted: number } {
    const present = [...this.devices.values()]
      .flatMap((device) => entriesOf(this.hardware, device))
      .filter((entry) => entry.present);
    const posted = present.filter((entry) => entry.posted).length;
    return { remapped: present.length - posted, posted };
  }

  /** Everybody does what there is to do. */
  settle(): void {
    this.processors.settle();
    while (this.#userspaceWoken) {
      this.#userspaceWoken = false;
      for (const vm of this.vms.values()) vm.settle();
      for (const program of this.programs.values()) program.poll();
      this.processors.settle();
    }
  }

  /** A program or a VMM has something to read. */
  readonly wakeUserspace = (): void => {
    this.#userspaceWoken = true;
  };

  /** Timers expire. What is idle meanwhile takes none of the clock's time. */
  rest(): void {
    this.kernel.uptime += tickSeconds;
    fireTimers(this.kernel);
    for (const vm of this.vms.values()) vm.fireTimers();
    this.settle();
  }

  /** What has been counted up to now. */
  totals(): Totals {
    const sources = [...this.devices.values()].flatMap((device) => device.sources);
    sources.push(...this.#diskSources);
    if (this.hpet !== null) sources.push(this.hpet.source);
    return totalsOf({
      sources,
      vcpus: this.#vcpus,
      kernels: this.#kernels,
      guests: this.#guests,
      blocked: this.faults.total,
      hijacked: this.hijacked + [...this.devices.values()].reduce((all, { hijacked }) => all + hijacked, 0),
    });
  }

  exits(): ReturnType<typeof exitsOf> {
    return exitsOf(this.#vcpus);
  }

  /** Everything is given back, as an orderly shutdown does. */
  takeApart(): void {
    for (const name of this.vms.keys()) this.stop(name);
    for (const program of this.programs.values()) program.close();
    for (const driver of this.drivers.values()) driver.disable();
    this.programs.clear();
    this.drivers.clear();
    this.hpet?.remove();
    this.settle();
  }
}
