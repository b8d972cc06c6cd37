import { hex } from "../../spec/codec.ts";
import type { Draft, HostDraft } from "../host/draft.ts";
import { type Origin, fact } from "../host/fact.ts";
import type { Vcpu, VirtualMachine } from "../host/virtual-machine.ts";
import { InputError } from "../input-error.ts";
import { Allowance } from "./allowance.ts";
import type { Kernel } from "./kernel.ts";
import { KernelStruct } from "./kernel-struct.ts";
import { listOf } from "./lists.ts";
import { keepPages } from "./paged-kernel.ts";
import { xarrayOf } from "./trees.ts";
import { avicMachine, avicVcpu } from "./walk-avic.ts";
import { bypassProducers, irqfdsOf } from "./walk-irqfd.ts";
import { KernelWalk, placeOf } from "./walk-context.ts";
import { hostDescriptors, vmxVcpu, wakeupLists } from "./walk-vmx.ts";
import { dword } from "./words.ts";

/** All virtual machines of a host together have no more virtual processors, and no more irqfds. */
const vcpuLimit = 1 << 16;
const irqfdLimit = 1 << 16;
const machineLimit = 1 << 14;
/** What is missing is listed up to here; in broken memory every vCPU lacks something. */
const missingLimit = 100;

/** cpuinfo_x86.x86_vendor of the vendors whose processors have SVM: AMD and Hygon. */
const svmVendors: ReadonlySet<number> = new Set([2, 9]);

/** vcpu->mode. */
const modes = ["outside", "inside", "exiting", "reading-tables"] as const;
/** enum kvm_irqchip_mode. */
const irqchips = ["none", "kernel", "split"] as const;

/** IA32_APIC_BASE: x2APIC mode. */
const x2apicMode = 1n << 10n;
/** Of a local APIC's page (SDM vol. 3 table 12-1). */
const apicRegisters = { id: 0x20, logicalDestination: 0xd0, destinationFormat: 0xe0, end: 0xe4 } as const;

class KvmWalk extends KernelWalk {
  readonly svm: boolean;
  readonly vcpus = new Allowance("virtual processors", vcpuLimit);
  readonly irqfds = new Allowance("irqfds", irqfdLimit);
  #missing = 0;
  /** Names of machines. */
  readonly names = new Set<string>();
  /** Where vCPUs wait, by the address of their list entry; undefined when the lists could not be read. */
  readonly waiting: ReadonlyMap<bigint, number> | undefined;

  constructor(kernel: Kernel, draft: HostDraft) {
    super(kernel, draft);
    const processor = new KernelStruct(kernel, "cpuinfo_x86", this.symbol("boot_cpu_data"));
    this.svm = svmVendors.has(processor.u8("x86_vendor"));
    if (!this.svm)
      this.waiting = this.attempt("which processors virtual ones wait on", () => wakeupLists(kernel));
  }

  override missing(what: string, why: string, needs: string | null = null): void {
    if (this.#missing === missingLimit)
      super.missing("more of the virtual machines", "what is listed is cut here");
    if (this.#missing++ < missingLimit) super.missing(what, why, needs);
  }
}

/** Adds KVM's virtual machines, what irqbypass ties to them, and the host's own posted-interrupt descriptors. */
export function walkKvm(kernel: Kernel, draft: HostDraft): void {
  const paged = keepPages(kernel);
  const walk = new KernelWalk(paged, draft);
  walk.attempt("posted-interrupt descriptors of the host's processors", () => hostDescriptors(paged, draft));
  walk.attempt("irqs that irqbypass offers to virtual machines", () => {
    const producers = bypassProducers(paged);
    if (producers !== undefined) draft.producers ??= walk.fact(producers, "producers of irqbypass");
  });
  walk.attempt("virtual machines of KVM", () => {
    const head = machinesOf(paged);
    if (head !== undefined) walkMachines(new KvmWalk(paged, draft), head);
  });
}

/** The head of the list of machines; undefined without KVM. */
function machinesOf(kernel: Kernel): bigint | undefined {
  const { symbols, types, memory } = kernel;
  const own = symbols.address("vm_list", "kvm");
  if (types.type("kvm_lapic", "kvm") === undefined) {
    if (own === undefined) return undefined;
    throw new InputError(
      `${memory.name}: expected BTF of module kvm, as a kernel with CONFIG_DEBUG_INFO_BTF_MODULES has it`,
    );
  }
  const head = own ?? symbols.address("vm_list");
  if (head !== undefined) return head;
  throw new InputError(
    `${memory.name}: expected the symbol vm_list of KVM, as a kernel with CONFIG_KALLSYMS_ALL has it`,
  );
}

function walkMachines(walk: KvmWalk, head: bigint): void {
  const machines = new Allowance("virtual machines", machineLimit);
  for (const vm of listOf(walk.kernel, head, "kvm", "vm_list", "kvm")) {
    machines.take();
    walkMachine(walk, vm);
  }
}

function walkMachine(walk: KvmWalk, vm: KernelStruct): void {
  const place = walk.origin(placeOf(vm));
  const { pid, command } =
    walk.attempt(`process of the virtual machine ${placeOf(vm)}`, () => ownerOf(vm)) ?? {};
  // A process may have several machines.
  const own = pid !== undefined && !walk.names.has(String(pid));
  const name = own ? String(pid) : hex(vm.address);
  walk.names.add(name);
  const vcpus: Draft<Vcpu>[] = [];
  const machine: Draft<VirtualMachine> = { name, vcpus };
  walk.draft.machines.push(machine);
  if (pid !== undefined) machine.pid = fact(pid, place);
  if (command !== undefined) machine.command = fact(command, place);

  const what = `virtual machine ${name}`;
  walk.attempt(`${what}: what keeps its APICs from being virtual`, () => {
    machine.inhibited = fact(vm.u64("arch.apicv_inhibit_reasons"), place);
  });
  walk.attempt(`${what}: where its interrupt controllers are`, () => {
    const irqchip = irqchips[vm.number("arch.irqchip_mode")];
    if (irqchip !== undefined) machine.irqchip = fact(irqchip, place);
  });
  walk.attempt(`${what}: whether irqs could bypass to it`, () => {
    machine.bypassable = fact(vm.number(...bypassable), place);
  });
  if (walk.svm) walk.attempt(`${what}: its AVIC id`, () => avicMachine(vm, machine, place));
  walk.attempt(`${what}: its virtual processors`, () => {
    for (const address of vcpuAddresses(vm)) {
      walk.vcpus.take();
      const vcpu = walk.attempt(`${what}: the virtual processor at ${hex(address)}`, () =>
        walkVcpu(walk, vm, name, new KernelStruct(walk.kernel, "kvm_vcpu", address, "kvm")),
      );
      if (vcpu !== undefined) vcpus.push(vcpu);
    }
  });
  walk.attempt(`${what}: its irqfds`, () => {
    machine.irqfds = fact(irqfdsOf(vm, walk.irqfds), place);
  });
}

/** 6.17 counts irqs that bypass could take; before it, assigned devices are counted. */
const bypassable = [
  "arch.nr_possible_bypass_irqs.counter",
  "arch.nr_possible_bypass_irqs",
  "arch.assigned_device_count.counter",
] as const;

/** mm->owner is there with CONFIG_MEMCG; without it the thread that made the machine is known by its id only. */
function ownerOf(vm: KernelStruct): { readonly pid?: number; readonly command?: string } {
  const mm = vm.follow("mm");
  const owner = mm?.has("owner") === true ? mm.follow("owner") : undefined;
  if (owner !== undefined) return { pid: owner.s32("tgid"), command: owner.string("comm") };
  const pid = vm.s32("userspace_pid");
  return pid > 0 ? { pid } : {};
}

/** kvm.vcpu_array is an XArray by index since 5.17; before it, kvm.vcpus was an array of pointers. */
function* vcpuAddresses(vm: KernelStruct): Generator<bigint> {
  const online = vm.s32("online_vcpus.counter", "online_vcpus");
  if (online < 0 || online > vcpuLimit) {
    throw new InputError(`online_vcpus: expected at most ${vcpuLimit}, found ${online}`);
  }
  if (!vm.has("vcpu_array")) {
    const { count } = vm.member("vcpus");
    for (const address of vm.quads("vcpus", Math.min(online, count))) if (address !== 0n) yield address;
    return;
  }
  for (const [index, address] of xarrayOf(vm.kernel, vm.addressOf("vcpu_array"))) {
    // One that is being made is in the array before it is counted.
    if (index < online) yield address;
  }
}

function walkVcpu(walk: KvmWalk, vm: KernelStruct, machine: string, vcpu: KernelStruct): Draft<Vcpu> {
  if (vcpu.pointer("kvm") !== vm.address) {
    throw new InputError(
      `${placeOf(vcpu)}: expected its kvm to be ${hex(vm.address)}, found ${hex(vcpu.pointer("kvm"))}`,
    );
  }
  const place = walk.origin(placeOf(vcpu));
  const id = vcpu.s32("vcpu_id");
  const facts: Draft<Vcpu> = { id, cpu: fact(vcpu.s32("cpu"), place) };
  const mode = modes[vcpu.number("mode")];
  if (mode !== undefined) facts.mode = fact(mode, place);
  const what = `virtual machine ${machine}: virtual processor ${id}`;
  walk.attempt(`${what}: its thread`, () => {
    // None before it first ran.
    const thread = vcpu.follow("pid")?.structs("numbers", 1)[0]?.s32("nr");
    if (thread !== undefined) facts.thread = fact(thread, place);
  });
  const regs = walk.attempt(`${what}: its local APIC`, () => walkApic(walk, vcpu, facts, place));
  walk.attempt(`${what}: its ${walk.svm ? "AVIC state" : "posted-interrupt descriptor"}`, () => {
    if (walk.svm) avicVcpu(vm, vcpu, regs, facts, place);
    else vmxVcpu(walk, { vm, vcpu, machine }, facts, place);
  });
  return facts;
}

/** @returns the address of its page of registers; undefined when the APIC is not KVM's. */
function walkApic(walk: KvmWalk, vcpu: KernelStruct, facts: Draft<Vcpu>, place: Origin): bigint | undefined {
  const base = vcpu.u64("arch.apic_base");
  facts.apicBase = fact(base, place);
  const apic = vcpu.follow("arch.apic", "kvm_lapic", "kvm");
  if (apic === undefined) return undefined;
  // In kvm_lapic since 6.1, before it in kvm_vcpu_arch.
  const active = apic.has("apicv_active") ? apic.flag("apicv_active") : vcpu.flag("arch.apicv_active");
  facts.apicvActive = fact(active, place);
  const regs = apic.pointer("regs");
  const page = walk.kernel.memory.read(regs, apicRegisters.end);
  const at = walk.origin(placeOf(apic));
  const id = dword(page, apicRegisters.id);
  facts.apicId = fact((base & x2apicMode) === 0n ? id >>> 24 : id, at);
  facts.logicalDestination = fact(dword(page, apicRegisters.logicalDestination), at);
  facts.destinationFormat = fact(dword(page, apicRegisters.destinationFormat), at);
  return regs;
}
