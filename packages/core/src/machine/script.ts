import { vcpuHalt, vcpuSchedIn, vcpuSchedOut } from "../linux/kvm/run.ts";
import type { Vcpu } from "../linux/kvm/vcpu.ts";
import { irqRemappingDisable, irqRemappingReenable } from "../linux/remapping.ts";
import { vfioPciRemove } from "../linux/vfio/removal.ts";
import type { BlockBackend } from "../qemu/block/backend.ts";
import { printRequester } from "../spec/requester.ts";
import { ActionError } from "./action-error.ts";
import { Attack } from "./attack.ts";
import { costs } from "./cost.ts";
import type { Device } from "./device.ts";
import { Driver } from "./driver.ts";
import { addressOf } from "./entries.ts";
import type { Machine } from "./machine.ts";
import type { Action, DmaTarget, VcpuName } from "./scenario/scenario.ts";
import { VfioProgram } from "./vfio-program.ts";
import type { VirtualMachine } from "./virtual-machine.ts";

/** How often an action looks whether the run was called off, and tells how far it is. */
const stride = 4096;

export interface ScriptOptions {
  readonly openImage: (name: string) => Promise<BlockBackend>;
  readonly progress?: (text: string) => void;
}

type Of<Name extends Action["do"]> = Extract<Action, { do: Name }>;

/** What an action did, for the narrative: a heading, and what is to be said besides what was counted. */
export interface Told {
  readonly what: string;
  readonly details: readonly string[];
}

/** Carries the actions of a script out on a machine. */
export class Script {
  readonly #machine: Machine;
  readonly #options: ScriptOptions;
  /** What the guest read was the image's, so far; null before the first read. */
  dataEqual: boolean | null = null;

  constructor(machine: Machine, options: ScriptOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  /** @throws ActionError when the software that runs refuses. */
  async act(action: Action): Promise<Told> {
    switch (action.do) {
      case "start":
        return this.#start(action);
      case "stop":
        this.#machine.stop(action.vm);
        return told(`${action.vm} stops`);
      case "enable":
        return this.#enable(action);
      case "disable":
        return this.#disable(action);
      case "vfio-enable":
        return this.#vfioEnable(action);
      case "vfio-close":
        return this.#vfioClose(action);
      case "interrupt":
        return this.#interrupt(action);
      case "write":
        return this.#write(action);
      case "attack":
        return this.#attack(action);
      case "guest-writes-table":
        return this.#writesTable(action);
      case "affinity":
        return this.#affinity(action);
      case "migrate":
        return this.#migrate(action);
      case "preempt":
        return this.#preempt(action);
      case "resume-vcpu":
        return this.#resume(action);
      case "halt":
        return this.#halt(action);
      case "unplug":
        return this.#unplug(action);
      case "disk-read":
        return this.#diskRead(action);
      case "disk-write":
        return this.#diskWrite(action);
      case "suspend":
        return this.#suspend(action);
      case "hpet":
        return this.#hpet(action);
      case "crash":
        this.#machine.crash();
        return told("the kernel crashes, and kdump's boots in memory of its own");
    }
  }

  async #start({ vm: name }: Of<"start">): Promise<Told> {
    const settings = this.#machine.scenario.vms.find((vm) => vm.name === name)!;
    const disk = settings.disk === undefined ? null : await this.#options.openImage(settings.disk.image);
    const vm = await this.#machine.start(settings, disk);
    const cpus = settings.vcpus.map((cpu, i) => `vCPU ${i} on CPU ${cpu}`).join(", ");
    const devices = settings.devices.join(", ");
    return told(
      `${name} starts: ${cpus}`,
      vm.kvm.apicv ? "APIC virtualization on" : "APIC virtualization off: KVM injects with each entry",
      ...(devices === "" ? [] : [`assigned through VFIO: ${devices}`]),
    );
  }

  #enable({ device: name, kind, vectors, cpus }: Of<"enable">): Told {
    const machine = this.#machine;
    const device = machine.device(name);
    const owner = machine.ownerOf(device);
    if (owner === undefined) {
      const driver = new Driver(machine.kernel, device.pci, (vector) => device.sources[vector]!.handle());
      machine.drivers.set(device, driver);
      driver.enable(kind, vectors, cpus);
    } else owner.enable(device, kind, vectors, cpus);
    device.enabled = vectors;
    machine.settle();
    const who = owner === undefined ? "the host's driver" : `the driver in ${owner.settings.name}`;
    return told(`${who} enables ${vectors} vectors of ${name}`, ...messages(device), this.#entries());
  }

  #entries(): string {
    const { remapped, posted } = this.#machine.entries();
    return `entries present: ${remapped} remapped, ${posted} posted`;
  }

  #disable({ device: name }: Of<"disable">): Told {
    const machine = this.#machine;
    const device = machine.device(name);
    const driver = machine.drivers.get(device) ?? machine.ownerOf(device)?.driverOf(device);
    if (driver === undefined) throw new ActionError(`nobody has enabled ${name}`);
    driver.disable();
    device.enabled = 0;
    machine.drivers.delete(device);
    machine.settle();
    return told(`${name} is disabled`, this.#entries());
  }

  #vfioEnable({ device: name, kind, vectors }: Of<"vfio-enable">): Told {
    const machine = this.#machine;
    const device = machine.device(name);
    const program =
      machine.programs.get(device) ?? new VfioProgram(machine.kernel, device, machine.wakeUserspace);
    machine.programs.set(device, program);
    program.enable(kind, vectors);
    device.enabled = vectors;
    machine.settle();
    return told(
      `a program enables ${vectors} vectors of ${name} through VFIO`,
      ...messages(device),
      this.#entries(),
    );
  }

  #vfioClose({ device: name }: Of<"vfio-close">): Told {
    const machine = this.#machine;
    const device = machine.device(name);
    machine.programs.get(device)?.close();
    machine.programs.delete(device);
    machine.settle();
    return told(`the program closes ${name}`, this.#entries());
  }

  async #interrupt({ device: name, vector, times, burst }: Of<"interrupt">): Promise<Told> {
    const device = this.#machine.device(name);
    const vectors = vector === "each" ? Array.from({ length: device.enabled }, (_, i) => i) : [vector];
    const grouped = vector === "each" && burst > 1;
    for (let i = 0; i < times; i++) {
      if (grouped) this.#burst(device, vectors, burst);
      else for (const one of vectors) this.#raise(device, one, burst);
      if (i % stride === stride - 1) await this.#breathe(`${name}: ${i + 1} of ${times}`);
    }
    const which = vector === "each" ? `each of ${vectors.length} vectors` : `vector ${vector}`;
    return told(`${name} raises ${which}${times > 1 ? `, ${times.toLocaleString("en")} times` : ""}`);
  }

  /** So many interrupts of one vector come before anybody looks. */
  #raise(device: Device, vector: number, burst: number): void {
    const { clock } = this.#machine;
    for (let i = 0; i < burst; i++) {
      clock.charge(costs.msiWrite);
      clock.charge(costs.iommuCacheHit);
      device.raise(vector);
    }
    this.#machine.settle();
  }

  /** So many come, of one vector after another. */
  #burst(device: Device, vectors: readonly number[], burst: number): void {
    for (let at = 0; at < vectors.length; at += burst) {
      for (const vector of vectors.slice(at, at + burst)) device.raise(vector);
      this.#machine.settle();
    }
  }

  async #breathe(text: string): Promise<void> {
    this.#options.progress?.(text);
    await Promise.resolve();
  }

  #write({ device: name, address, data, as }: Of<"write">): Told {
    const machine = this.#machine;
    const { fn } = machine.device(name);
    const at = typeof address === "number" ? address : this.#target(address);
    const requester = as ?? fn.requester;
    const routed = machine.hardware.root.write(requester, at, data);
    machine.settle();
    const where = typeof address === "number" ? hex(at) : `${hex(at)}, ${phrase(address)}`;
    const end =
      routed.to === "nowhere"
        ? `refused by ${routed.rule}`
        : routed.to === "memory"
          ? "written"
          : "an interrupt request";
    return told(
      `${name} writes ${hex(data)} to ${where}${as === undefined ? "" : ` as ${printRequester(as)}`}`,
      end,
    );
  }

  #target({ of, device: name, vector, offset }: DmaTarget): number {
    return addressOf(this.#machine.hardware, this.#machine.device(name), vector, of) + offset;
  }

  #attack({ device: name, as }: Of<"attack">): Told {
    const machine = this.#machine;
    const device = machine.device(name);
    const requester = as ?? device.fn.requester;
    const attack = new Attack(machine.kernel, machine.hardware, device, requester);
    const { attempts, blocked, own, hijacked, cpus, vectors, modes } = attack.run();
    machine.hijacked += hijacked;
    machine.settle();
    const count = (value: number): string => value.toLocaleString("en");
    return told(
      `${name} tries every message that it can think of${as === undefined ? "" : `, as ${printRequester(as)}`}`,
      `${count(attempts)} attempts: ${count(blocked)} blocked, ${count(own)} of its own, ${count(hijacked)} past its entries`,
      ...(hijacked === 0
        ? []
        : [
            `it reached ${count(cpus.size)} CPUs, with ${count(vectors.size)} vectors and ${count(modes.size)} delivery modes of its choosing`,
          ]),
    );
  }

  #writesTable({ device: name, vector, address, data }: Of<"guest-writes-table">): Told {
    const machine = this.#machine;
    const device = machine.device(name);
    const before = tableEntry(device, vector);
    const owner = machine.ownerOf(device);
    if (owner === undefined) throw new ActionError(`${name} is in no guest`);
    owner.writeTable(device, vector, address, data);
    const after = tableEntry(device, vector);
    return told(
      `the guest writes entry ${vector} of ${name}'s MSI-X table: address ${hex(address)}, data ${hex(data)}`,
      before === after
        ? `the device's own entry stays ${after}`
        : `the device's own entry is now ${after}, was ${before}`,
    );
  }

  #affinity({ device: name, vector, cpus }: Of<"affinity">): Told {
    const machine = this.#machine;
    const device = machine.device(name);
    const driver = machine.drivers.get(device) ?? machine.ownerOf(device)?.driverOf(device);
    if (driver === undefined) throw new ActionError(`nobody has enabled ${name}`);
    const before = messages(device).join();
    driver.move(vector, cpus);
    machine.settle();
    const same = messages(device).join() === before;
    return told(
      `vector ${vector} of ${name} moves to CPU ${cpus.join(", ")}`,
      same ? "its message stays as it is" : `its message changes: ${messages(device)[vector] ?? ""}`,
    );
  }

  #vcpu({ vm, vcpu }: VcpuName): { owner: VirtualMachine; vcpu: Vcpu; name: string } {
    const owner = this.#machine.vm(vm);
    return { owner, vcpu: owner.vcpu(vcpu), name: `${vm}/${vcpu}` };
  }

  #migrate({ vcpu: which, to }: Of<"migrate">): Told {
    const { vcpu, name } = this.#vcpu(which);
    const from = vcpu.cpu?.number;
    if (vcpu.loaded) this.#takeCpu(vcpu);
    this.#giveCpu(vcpu, to);
    return told(`${name} moves from CPU ${from} to CPU ${to}`);
  }

  #preempt({ vcpu: which }: Of<"preempt">): Told {
    const { vcpu, name } = this.#vcpu(which);
    if (!vcpu.loaded) throw new ActionError(`${name} has no CPU to lose`);
    this.#takeCpu(vcpu);
    return told(`${name} is preempted`);
  }

  #resume({ vcpu: which }: Of<"resume-vcpu">): Told {
    const { vcpu, name } = this.#vcpu(which);
    if (vcpu.loaded) throw new ActionError(`${name} has its CPU`);
    this.#giveCpu(vcpu, vcpu.cpu!.number);
    return told(`${name} gets CPU ${vcpu.cpu!.number} again`);
  }

  #takeCpu(vcpu: Vcpu): void {
    const { clock, kernel, processors } = this.#machine;
    clock.charge(costs.vmExit);
    clock.charge(costs.contextSwitch);
    vcpuSchedOut(kernel, vcpu);
    processors.place(vcpu, null);
    this.#machine.settle();
  }

  #giveCpu(vcpu: Vcpu, number: number): void {
    const { clock, kernel, processors } = this.#machine;
    clock.charge(costs.contextSwitch);
    vcpuSchedIn(kernel, vcpu, kernel.cpus[number]!);
    if (vcpu.loaded) processors.place(vcpu, number);
    this.#machine.settle();
  }

  #halt({ vcpu: which }: Of<"halt">): Told {
    const { vcpu, name } = this.#vcpu(which);
    const { clock, kernel, processors } = this.#machine;
    if (!vcpu.inGuest) throw new ActionError(`${name} does not run`);
    clock.charge(costs.vmExit);
    const runsOn = vcpuHalt(kernel, vcpu);
    if (!runsOn) processors.place(vcpu, null);
    this.#machine.settle();
    return told(`${name} executes HLT`, runsOn ? "an interrupt was there: it runs on" : "its thread sleeps");
  }

  #unplug({ device: name }: Of<"unplug">): Told {
    const machine = this.#machine;
    const device = machine.device(name);
    device.pci.removed = true;
    const gone = vfioPciRemove(machine.kernel, device.pci, 0);
    machine.ownerOf(device)?.unplug(device);
    machine.settle();
    return told(
      `${name} disappears from its slot`,
      gone ? "nobody had it" : "its owner gives it back",
      this.#entries(),
    );
  }

  async #diskRead({ vm, sector, count }: Of<"disk-read">): Promise<Told> {
    const { read, image } = await this.#machine.vm(vm).readDisk(sector, count);
    const equal = read.length === image.length && read.every((byte, i) => byte === image[i]);
    this.dataEqual = (this.dataEqual ?? true) && equal;
    const text = String.fromCodePoint(...read.subarray(0, 72)).replaceAll(/[^ -~]+.*/gs, "");
    return told(
      `the guest reads ${count} sectors from ${sector} on`,
      equal ? `${read.length} bytes, the image's: "${text}…"` : "what it read is not what the image holds",
    );
  }

  async #diskWrite({ vm, sector, text }: Of<"disk-write">): Promise<Told> {
    const status = await this.#machine.vm(vm).writeDisk(sector, text);
    return told(`the guest writes sector ${sector}`, status === 0 ? "done" : `refused with status ${status}`);
  }

  #suspend({ hpetRestored }: Of<"suspend">): Told {
    const { kernel, hpet } = this.#machine;
    irqRemappingDisable(kernel);
    hpet?.suspend();
    irqRemappingReenable(kernel);
    hpet?.resume(hpetRestored);
    this.#machine.settle();
    return told(
      "the host sleeps and wakes",
      ...(hpet === null
        ? []
        : [hpetRestored ? "the HPET's message is restored" : "the HPET has the message that firmware left"]),
    );
  }

  #hpet({ times }: Of<"hpet">): Told {
    const machine = this.#machine;
    for (let i = 0; i < times; i++) {
      const blocked = machine.faults.total;
      machine.hpet!.fire(
        () => machine.faults.total > blocked,
        () => machine.settle(),
      );
    }
    return told(`the HPET fires${times > 1 ? ` ${times} times` : ""}`);
  }
}

function told(what: string, ...details: string[]): Told {
  return { what, details };
}

function phrase({ of, device, vector }: DmaTarget): string {
  return of === "irte"
    ? `the entry of ${device}'s vector ${vector}`
    : `the descriptor that ${device}'s vector ${vector} is posted to`;
}

/** The messages that a device was given, the first few. */
function messages({ pci }: Device): string[] {
  const all = pci.msi?.descriptors ?? [];
  const shown = all.slice(0, 4).map(({ index, message }) => {
    const { addressLow, data } = message;
    return `vector ${index}: address ${hex(addressLow >>> 0)}, data ${hex(data >>> 0)}`;
  });
  return all.length > shown.length ? [...shown, `and ${all.length - shown.length} more`] : shown;
}

/** An entry of the function's own table, as the function has it. */
function tableEntry({ fn }: Device, vector: number): string {
  const at = 16 * vector;
  return `${hex(fn.msix!.readTable(at))}/${hex(fn.msix!.readTable(at + 8))}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
