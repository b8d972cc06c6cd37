import { HostDraft } from "../../host/draft.ts";
import type { HostState } from "../../host/state.ts";
import { walkKvm } from "../walk-kvm.ts";
import { type Layout, LayoutKernel, type Layouts } from "./layout-kernel.ts";

/** The same layouts with other members in some structures; null takes one out. */
export function changed(
  layouts: Layouts,
  release: string,
  changes: Readonly<Record<string, Readonly<Record<string, string | null>> | null>>,
): Layouts {
  const types: Record<string, Layout> = { ...layouts.types };
  for (const [name, members] of Object.entries(changes)) {
    if (members === null) {
      delete types[name];
      continue;
    }
    const old = types[name] ?? { size: 4096, modules: null, members: {} };
    const kept = Object.entries({ ...old.members, ...members }).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    );
    types[name] = { ...old, members: Object.fromEntries(kept) };
  }
  return { release, types };
}

/** cpuinfo_x86.x86_vendor. */
const vendors = { intel: 0, amd: 2 } as const;
const perCpuBytes = 0x1_0000;
/** Addresses of per-CPU variables, as their symbols have them. */
const perCpuPlaces = { wakeup: 0x40n, posted: 0x80n } as const;

/** A host that runs KVM, in memory that is laid out as its kernel's own types say. */
export class KvmHost {
  readonly kernel: LayoutKernel;
  readonly #vendor: "intel" | "amd";
  readonly #lists = new Map<bigint, bigint[]>();
  readonly #vcpus = new Map<bigint, bigint[]>();
  readonly #perCpu: bigint;
  #next = 0xffff_8880_0100_0000n;

  constructor(layouts: Layouts, vendor: "intel" | "amd", cpus = 4) {
    this.kernel = new LayoutKernel(layouts);
    this.#vendor = vendor;
    const { places } = this.kernel;
    places.set("boot_cpu_data", this.allocate("cpuinfo_x86"));
    this.kernel.set("cpuinfo_x86", places.get("boot_cpu_data")!, "x86_vendor", vendors[vendor]);
    places.set("kvm:vm_list", this.list());
    this.#perCpu = this.space(cpus * perCpuBytes);
    places.set("__per_cpu_offset", this.space(cpus * 8));
    for (let cpu = 0; cpu < cpus; cpu++) {
      this.kernel.memory.put(
        places.get("__per_cpu_offset")! + BigInt(cpu * 8),
        this.#perCpu + BigInt(cpu * perCpuBytes),
      );
    }
    places.set("__cpu_possible_mask", this.space(8));
    this.kernel.memory.put(places.get("__cpu_possible_mask")!, (1n << BigInt(cpus)) - 1n);
    places.set("nr_cpu_ids", this.space(4));
    this.kernel.memory.put(places.get("nr_cpu_ids")!, cpus, 4);
    if (vendor === "intel") this.#perCpuLists(cpus);
  }

  /** Zeros at the start of a page. */
  space(bytes: number): bigint {
    const address = this.#next;
    this.kernel.memory.write(address, new Uint8Array(bytes));
    this.#next += BigInt(Math.ceil(bytes / 4096) * 4096);
    return address;
  }

  allocate(type: string, module?: string): bigint {
    return this.space(this.#layout(type, module).size);
  }

  /** A process. */
  process(pid: number, command: string): bigint {
    const task = this.allocate("task_struct");
    this.kernel.set("task_struct", task, "tgid", pid);
    this.kernel.memory.text(task + this.offset("task_struct", "comm"), command);
    const mm = this.allocate("mm_struct");
    this.kernel.set("mm_struct", mm, "owner", task);
    return mm;
  }

  /** A machine of a process. @returns the address of its struct kvm. */
  machine(mm: bigint): bigint {
    const container = this.#vendor === "intel" ? "kvm" : "kvm_svm";
    const vm = this.allocate(container, "kvm_amd");
    this.kernel.set("kvm", vm, "mm", mm);
    this.kernel.set("kvm", vm, "arch.irqchip_mode", 2);
    this.link(this.kernel.places.get("kvm:vm_list")!, vm + this.offset("kvm", "vm_list"));
    this.#empty(vm + this.offset("kvm", "irqfds.items"));
    this.#vcpus.set(vm, []);
    return vm;
  }

  /** A vCPU with an APIC of KVM's. @returns the address of its struct kvm_vcpu. */
  vcpu(vm: bigint, id: number, { apicId = id, x2apic = false } = {}): bigint {
    const container = this.#vendor === "intel" ? "vcpu_vmx" : "vcpu_svm";
    const vcpu = this.allocate(container, this.#vendor === "intel" ? "kvm_intel" : "kvm_amd");
    const { kernel } = this;
    kernel.set("kvm_vcpu", vcpu, "kvm", vm);
    kernel.set("kvm_vcpu", vcpu, "vcpu_id", id);
    kernel.set("kvm_vcpu", vcpu, "arch.apic_base", 0xfee0_0800n | (x2apic ? 0x400n : 0n));
    const apic = this.allocate("kvm_lapic", "kvm");
    kernel.set("kvm_vcpu", vcpu, "arch.apic", apic);
    kernel.set("kvm_lapic", apic, "regs", this.space(4096), "kvm");
    kernel.memory.put(this.registers(vcpu) + 0x20n, x2apic ? apicId : apicId << 24, 4);
    this.#vcpus.get(vm)!.push(vcpu);
    return vcpu;
  }

  /** The page of a vCPU's APIC. */
  registers(vcpu: bigint): bigint {
    const apic = this.pointer(vcpu + this.offset("kvm_vcpu", "arch.apic"));
    return this.pointer(apic + this.offset("kvm_lapic", "regs", "kvm"));
  }

  /** An irqfd, with the message of its route. @returns its address. */
  irqfd(vm: bigint, gsi: number, message?: { readonly address: bigint; readonly data: number }): bigint {
    const irqfd = this.allocate("kvm_kernel_irqfd", "kvm");
    const set = (name: string, value: bigint | number): void =>
      this.kernel.set("kvm_kernel_irqfd", irqfd, name, value, "kvm");
    set("gsi", gsi);
    if (message !== undefined) {
      set("irq_entry.type", 2);
      set("irq_entry.msi.address_lo", message.address & 0xffff_ffffn);
      set("irq_entry.msi.address_hi", message.address >> 32n);
      set("irq_entry.msi.data", message.data);
    }
    this.link(
      vm + this.offset("kvm", "irqfds.items"),
      irqfd + this.offset("kvm_kernel_irqfd", "list", "kvm"),
    );
    return irqfd;
  }

  /** A list without elements. @returns the address of its head. */
  list(): bigint {
    const head = this.space(16);
    this.#empty(head);
    return head;
  }

  /** Puts a node at the end of a list. */
  link(head: bigint, node: bigint): void {
    const nodes = this.#lists.get(head) ?? [];
    this.#lists.set(head, nodes);
    nodes.push(node);
    const { memory } = this.kernel;
    for (const [i, each] of nodes.entries()) memory.put(each, nodes[i + 1] ?? head);
    memory.put(head, nodes[0]!);
  }

  /** The head of the list of vCPUs that wait on a processor. */
  waitingOn(cpu: number): bigint {
    return this.#perCpu + BigInt(cpu * perCpuBytes) + perCpuPlaces.wakeup;
  }

  /** A processor's descriptor for the host's own MSIs; the kernel has them from when this is first asked. */
  postedMsi(cpu: number): bigint {
    this.kernel.places.set("posted_msi_pi_desc", perCpuPlaces.posted);
    return this.#perCpu + BigInt(cpu * perCpuBytes) + perCpuPlaces.posted;
  }

  pointer(address: bigint): bigint {
    return new DataView(this.kernel.memory.read(address, 8).buffer).getBigUint64(0, true);
  }

  offset(type: string, name: string, module?: string): bigint {
    const member = this.kernel.types.type(type, module)?.member(name);
    if (member === undefined) throw new RangeError(`struct ${type} has no ${name}`);
    return BigInt(member.bitOffset >>> 3);
  }

  /** What the walk finds. */
  walk(): HostState {
    for (const [vm, vcpus] of this.#vcpus) {
      this.#writeVcpus(vm, vcpus);
      this.kernel.set("kvm", vm, "online_vcpus.counter", vcpus.length);
    }
    return this.walkAsIs();
  }

  /** What the walk finds, with vCPUs as they were written last. */
  walkAsIs(): HostState {
    const draft = new HostDraft("memory");
    walkKvm(this.kernel, draft);
    return draft.finish();
  }

  #writeVcpus(vm: bigint, vcpus: readonly bigint[]): void {
    const { kernel } = this;
    if (kernel.types.type("kvm")!.member("vcpu_array") === undefined) {
      for (const [i, vcpu] of vcpus.entries())
        kernel.memory.put(vm + this.offset("kvm", "vcpus") + BigInt(i * 8), vcpu);
      return;
    }
    const node = this.allocate("xa_node");
    for (const [i, vcpu] of vcpus.entries())
      kernel.memory.put(node + this.offset("xa_node", "slots") + BigInt(i * 8), vcpu);
    kernel.set("kvm", vm, "vcpu_array.xa_head", node | 2n);
  }

  #perCpuLists(cpus: number): void {
    this.kernel.places.set("kvm_intel:wakeup_vcpus_on_cpu", perCpuPlaces.wakeup);
    for (let cpu = 0; cpu < cpus; cpu++) this.#empty(this.waitingOn(cpu));
  }

  #empty(head: bigint): void {
    this.kernel.memory.put(head, head);
    this.kernel.memory.put(head + 8n, head);
  }

  #layout(type: string, module?: string): { readonly size: number } {
    const found = this.kernel.types.type(type, module);
    if (found === undefined) throw new RangeError(`no struct ${type}`);
    return found;
  }
}
