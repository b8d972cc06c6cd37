import type { Cpu } from "../cpu.ts";
import type { Kernel } from "../kernel.ts";
import type { ThreadTable } from "../posting/thread-steps.ts";
import { type ThreadState, VmWord } from "../posting/words.ts";
import type { ExitReason } from "./counts.ts";
import { VmInterrupts } from "./interrupts.ts";
import type { Vcpu } from "./vcpu.ts";

/** `struct kvm_x86_ops`: what VMX and SVM do each in its way. */
export interface KvmX86Ops {
  readonly vendor: "intel" | "amd";
  /** The numbers that events have for the reasons to leave a guest. */
  readonly exitReasons: Readonly<Partial<Record<ExitReason, number>>>;
  /**
   * The module is loaded, with the first VM: handlers, and the state and the table of its protocol, which
   * {@link KvmState} is made from.
   */
  hardwareSetup(k: Kernel): VendorProtocol;
  /** The last VM is gone. */
  hardwareUnsetup(k: Kernel): void;
  vmInit?(k: Kernel, vm: KvmVm): void;
  vmDestroy?(k: Kernel, vm: KvmVm): void;
  /** Gives it a {@link Vcpu.processor}. */
  vcpuCreate(k: Kernel, vcpu: Vcpu): void;
  vcpuFree(k: Kernel, vcpu: Vcpu): void;
  /** The vCPU's thread gets a CPU. */
  vcpuLoad(k: Kernel, vcpu: Vcpu, cpu: Cpu): void;
  /** The vCPU's thread loses its CPU. */
  vcpuPut(k: Kernel, vcpu: Vcpu): void;
  /** `vcpu_blocking`, `vcpu_unblocking`: AVIC only. */
  vcpuBlocking?(k: Kernel, vcpu: Vcpu): void;
  vcpuUnblocking?(k: Kernel, vcpu: Vcpu): void;
  /** A guest was left for an interrupt of the host, which is acknowledged; called as it is unless told. */
  handleExternalInterrupt?(k: Kernel, cpu: Cpu, vector: number): void;
  /** An interrupt for the vCPU's APIC, from a device or another vCPU. */
  deliverInterrupt(k: Kernel, vcpu: Vcpu, vector: number): void;
  /** What was posted is brought to the APIC's IRR. @returns the highest requested vector, -1 for none. */
  syncPirToIrr(k: Kernel, vcpu: Vcpu): number;
  /** Something was posted that the guest has not seen. */
  hasPendingInterrupt(k: Kernel, vcpu: Vcpu): boolean;
  /** Points a host interrupt at a vCPU, or back at the host. @returns 0, or a negative errno. */
  piUpdateIrte(k: Kernel, vm: KvmVm, hostIrq: number, gsi: number, vcpu: Vcpu | null, vector: number): number;
  /** The first device is assigned. */
  piStartBypass(k: Kernel, vm: KvmVm): void;
}

/** What a vendor's module keeps for all vCPUs of a host, and the steps in which they race. */
export interface VendorProtocol {
  readonly state: ThreadState;
  readonly table: ThreadTable;
}

/** A virtual machine as the kernel knows it: `struct kvm`. */
export class KvmVm {
  readonly name: string;
  /** Number of the VM, as GATag carries it. */
  readonly id: number;
  readonly ops: KvmX86Ops;
  readonly vcpus: Vcpu[] = [];
  /** KVM virtualizes the APICs with hardware's help: APICv or AVIC. */
  apicv: boolean;
  x2apic = true;
  /** What comes from outside: routes, irqfds, who is addressed. */
  readonly interrupts = new VmInterrupts();
  readonly protocol: VendorProtocol;
  /** Its place among the VMs of the protocol's state. */
  readonly index: number;

  constructor(
    name: string,
    id: number,
    ops: KvmX86Ops,
    apicv: boolean,
    place: { readonly protocol: VendorProtocol; readonly index: number },
  ) {
    this.name = name;
    this.id = id;
    this.ops = ops;
    this.apicv = apicv;
    this.protocol = place.protocol;
    this.index = place.index;
  }

  #word(word: number): number {
    const { state } = this.protocol;
    return state.get(state.vmAt(this.index) + word);
  }

  #setWord(word: number, value: number): void {
    const { state } = this.protocol;
    state.set(state.vmAt(this.index) + word, value);
  }

  /** `kvm->arch.nr_possible_bypass_irqs` */
  get possibleBypassIrqs(): number {
    return this.#word(VmWord.bypass);
  }

  set possibleBypassIrqs(count: number) {
    this.#setWord(VmWord.bypass, count);
  }

  /** The processor posts IPIs between its vCPUs. */
  get ipiVirtualization(): boolean {
    return this.#word(VmWord.ipiVirtualization) !== 0;
  }

  set ipiVirtualization(on: boolean) {
    this.#setWord(VmWord.ipiVirtualization, Number(on));
  }
}
