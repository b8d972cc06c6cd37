import type { Thread } from "../../hardware/call-stack.ts";
import type { Cpu, CpuApic } from "../cpu.ts";
import type { LocalCpu } from "../local-cpu.ts";
import type { File } from "../syscall.ts";
import { Mode, VcpuWord, vcpuStride } from "../posting/words.ts";
import { VcpuCounts } from "./counts.ts";
import { KvmLapic } from "./lapic.ts";
import type { KvmVm } from "./vm.ts";

/** What runs inside: the guest's side of a virtual CPU. */
export interface GuestCpu {
  /** The guest takes an interrupt: its handler runs to the end, EOI included. */
  interrupt(vector: number): void;
}

/** A vCPU's processor in guest mode, and the virtual APIC that it gives the guest. */
export interface VirtualProcessor {
  /** How interrupts get in: APICv's virtual-interrupt delivery, AVIC, or by KVM with each entry. */
  readonly kind: "vmx" | "avic" | "injected";
  /** VM entry. */
  enter(): void;
  /** VM exit. */
  exit(): void;
  /**
   * The physical APIC has something while the guest runs.
   * @returns -1 if the processor saw to it and the guest goes on; the vector acknowledged where it ends in a VM exit.
   */
  externalInterrupt(cpu: LocalCpu): number;
  /** The guest can be interrupted. @returns the vector that it takes through its IDT; -1 for none. */
  deliver(): number;
  /** The guest cannot be interrupted now, and something waits: the processor is to exit when it can. */
  wantsWindow(): boolean;
  /** Whether its IRR holds an interrupt that the guest's priority lets through. */
  hasInterrupt(): boolean;
  /** The guest's own APIC, as a kernel in the guest uses it. */
  readonly apic: CpuApic;
}

const modes = ["outside", "inGuest", "exiting"] as const;

/** `struct kvm_vcpu`. What races with others stands in words of the posting protocol, and is read from there. */
export class Vcpu {
  readonly vm: KvmVm;
  readonly id: number;
  /** The guest's APIC id. */
  readonly apicId: number;
  /** By what messages address it. */
  readonly lapic: KvmLapic;
  /** The VMM's thread that runs it. */
  readonly thread: Thread;
  /** Number among all vCPUs of the host, as the protocol and the events have it. */
  readonly slot: number;
  readonly counts = new VcpuCounts();
  /** Null until its VM's vendor has given it one. */
  processor: VirtualProcessor | null = null;
  guest: GuestCpu | null = null;
  /** The file on which its thread calls KVM_RUN. */
  file: File | null = null;
  /** Its thread is in KVM_RUN, on a CPU or not. */
  running = false;
  /** A signal takes its thread out of KVM_RUN. */
  signalled = false;
  readonly #words: Int32Array;
  readonly #at: number;
  #cpu: Cpu | null = null;

  /** @param words where the protocol keeps its words; a place of its own unless told. */
  constructor(
    vm: KvmVm,
    id: number,
    apicId: number,
    thread: Thread,
    words: { readonly words: Int32Array; readonly at: number; readonly slot: number } = ownWords(),
  ) {
    this.vm = vm;
    this.id = id;
    this.apicId = apicId;
    this.lapic = new KvmLapic(apicId, vm.x2apic);
    this.thread = thread;
    this.slot = words.slot;
    this.#words = words.words;
    this.#at = words.at;
  }

  /** `vcpu->mode` */
  get mode(): (typeof modes)[number] {
    return modes[this.#words[this.#at + VcpuWord.mode]!]!;
  }

  set mode(mode: (typeof modes)[number]) {
    this.#words[this.#at + VcpuWord.mode] = Mode[mode];
  }

  /** `vcpu->cpu`: where it is loaded or was last; null before its first load. */
  get cpu(): Cpu | null {
    return this.#cpu;
  }

  set cpu(cpu: Cpu | null) {
    this.#cpu = cpu;
    this.#words[this.#at + VcpuWord.cpu] = cpu?.number ?? -1;
  }

  /** Its thread has a CPU. */
  get loaded(): boolean {
    return this.#words[this.#at + VcpuWord.loaded] !== 0;
  }

  /** Its processor is in guest mode. */
  get inGuest(): boolean {
    return this.#words[this.#at + VcpuWord.inGuest] !== 0;
  }

  /** Descheduled against its will. */
  get preempted(): boolean {
    return this.#words[this.#at + VcpuWord.preempted] !== 0;
  }

  /** Waits in `kvm_vcpu_block`. */
  get blocking(): boolean {
    return this.#words[this.#at + VcpuWord.blocking] !== 0;
  }

  /** Its thread is off its CPU and does not want one until it is woken. */
  get asleep(): boolean {
    return !this.loaded && !this.preempted && this.#words[this.#at + VcpuWord.sleeping] !== 0;
  }

  /** The guest has executed HLT. */
  get halted(): boolean {
    return this.#words[this.#at + VcpuWord.halted] !== 0;
  }

  set halted(halted: boolean) {
    this.#words[this.#at + VcpuWord.halted] = Number(halted);
  }

  /** The guest's RFLAGS.IF and interrupt shadow let interrupts in. */
  get interruptible(): boolean {
    return this.#words[this.#at + VcpuWord.interruptBlocked] === 0;
  }

  set interruptible(interruptible: boolean) {
    this.#words[this.#at + VcpuWord.interruptBlocked] = Number(!interruptible);
  }

  /** On how many wakeup lists it stands. */
  get listed(): number {
    return this.#words[this.#at + VcpuWord.listed]!;
  }
}

function ownWords(): { readonly words: Int32Array; readonly at: number; readonly slot: number } {
  const words = new Int32Array(vcpuStride);
  words[VcpuWord.cpu] = -1;
  return { words, at: 0, slot: 0 };
}
