/** Words of a vCPU and of the thread that runs it. */
export const VcpuWord = {
  /** `vcpu->mode`: one of {@link Mode}. */
  mode: 0,
  /** `vcpu->cpu`: where it is loaded or was last; -1 before its first load. */
  cpu: 1,
  /** Its thread has a CPU. */
  loaded: 2,
  /** Its processor is in guest mode: between VM entry and VM exit. */
  inGuest: 3,
  /** `kvm_vcpu_is_blocking`: others have to wake the thread. */
  blocking: 4,
  /** TASK_INTERRUPTIBLE: the thread sleeps when it next gives up its CPU, and until it is woken. */
  sleeping: 5,
  /** The thread left its CPU against its will, and wants it back. */
  preempted: 6,
  /** RFLAGS.IF of the host, inverted, while the thread is on a CPU. */
  interruptsOff: 7,
  /** KVM_REQ_UNBLOCK is pending. */
  unblock: 8,
  /** The guest has executed HLT. */
  halted: 9,
  /** `vmx_interrupt_blocked`: the guest's RFLAGS.IF or interrupt shadow keeps interrupts out. */
  interruptBlocked: 10,
  /** On how many wakeup lists it stands: one at most. */
  listed: 11,
  /** Its VM. */
  vm: 12,
  /** `preempt_disable`: the thread keeps its CPU, whoever wants it. */
  preemptionOff: 13,
} as const;

export const vcpuStride = 16;

/** `vcpu->mode`. */
export const Mode = { outside: 0, inGuest: 1, exiting: 2 } as const;

export const VmWord = {
  /** `nr_possible_bypass_irqs` */
  bypass: 0,
  /** The processor posts IPIs between the VM's vCPUs. */
  ipiVirtualization: 1,
} as const;

export const vmStride = 2;

/** One interrupt's entry in the remapping table, as far as AVIC's protocol goes. Both words: 0 for the host, or the vCPU plus one. */
export const EntryWord = {
  /** Whom the entry leads to. */
  posted: 0,
  /** Whom KVM asked for last. */
  asked: 1,
} as const;

const entryStride = 4;

/** Registers of a thread that does steps: where it is, what it was called with, what it remembers between two steps. */
export const FrameWord = {
  /** Number of the next step; 0 while it does nothing. */
  step: 0,
  vcpu: 1,
  cpu: 2,
  vector: 3,
  value: 4,
  /** Which part of something long comes next. */
  part: 5,
  /** Where the routine that was called returns to. */
  back: 6,
  /** Where a vCPU's thread goes on when it has a CPU again. */
  resume: 7,
  /** The entry of the remapping table that it is about. */
  entry: 8,
  /** Four words: what is to be written to that entry. */
  irte: 9,
  /** Where a descriptor is that the entry is to post to; 0 for none. */
  addressLow: 13,
  addressHigh: 14,
  /** The VM that it is about. */
  vm: 15,
} as const;

/** Words of a frame. */
export const frameStride = 16;

/** How many there are of what a protocol runs between. */
export interface Shape {
  readonly vcpus: number;
  readonly cpus: number;
  readonly vms: number;
  readonly entries: number;
  /** Devices and threads other than those of vCPUs that start routines. */
  readonly others: number;
}

/** What steps reach that is not words: APICs and the scheduler. A machine has real ones, an explorer a few bits. */
export interface ThreadPort {
  /** A processor sends a fixed interrupt to a CPU, which may be itself. */
  sendIpi(cpu: number, vector: number): void;
  /** Whether the vCPU's APIC holds an interrupt that its priority lets through. */
  hasInterrupt(vcpu: number): boolean;
  /** A thread that slept may run again. */
  woken(vcpu: number): void;
}

/** The words that vCPU threads, CPUs and the routines that they are in share. */
export class ThreadState {
  readonly shape: Shape;
  readonly words: Int32Array;
  /** Words of each CPU's wakeup list: one bit for each vCPU. */
  readonly listWords: number;
  readonly #lists: number;
  readonly #vms: number;
  readonly #entries: number;
  readonly #frames: number;
  readonly #end: number;

  /** @param more words that a protocol needs beside these; they begin at {@link more}. */
  constructor(shape: Shape, more = 0) {
    this.shape = shape;
    this.listWords = Math.ceil(shape.vcpus / 32);
    this.#lists = shape.vcpus * vcpuStride;
    this.#vms = this.#lists + shape.cpus * this.listWords;
    this.#entries = this.#vms + shape.vms * vmStride;
    this.#frames = this.#entries + shape.entries * entryStride;
    this.#end = this.#frames + (shape.vcpus + shape.cpus + shape.others) * frameStride;
    this.words = new Int32Array(this.#end + more);
    for (let vcpu = 0; vcpu < shape.vcpus; vcpu++) this.resetVcpu(vcpu, 0);
  }

  /** The first word that is the protocol's own. */
  get more(): number {
    return this.#end;
  }

  /** A vCPU before its thread has run. */
  resetVcpu(vcpu: number, vm: number): void {
    const at = this.vcpuAt(vcpu);
    this.words.fill(0, at, at + vcpuStride);
    this.words[at + VcpuWord.cpu] = -1;
    this.words[at + VcpuWord.vm] = vm;
  }

  vcpuAt(vcpu: number): number {
    return vcpu * vcpuStride;
  }

  vmAt(vm: number): number {
    return this.#vms + vm * vmStride;
  }

  entryAt(entry: number): number {
    return this.#entries + entry * entryStride;
  }

  /** The frame of a vCPU's thread. */
  threadAt(vcpu: number): number {
    return this.#frames + vcpu * frameStride;
  }

  /** The frame of the interrupt handlers of a CPU. */
  handlerAt(cpu: number): number {
    return this.#frames + (this.shape.vcpus + cpu) * frameStride;
  }

  /** The frame of one of the {@link Shape.others}. */
  otherAt(other: number): number {
    return this.#frames + (this.shape.vcpus + this.shape.cpus + other) * frameStride;
  }

  get(at: number): number {
    return this.words[at]!;
  }

  set(at: number, value: number): void {
    this.words[at] = value;
  }

  /** Reads a register that is not needed any more. */
  take(at: number): number {
    const value = this.words[at]!;
    this.words[at] = 0;
    return value;
  }

  /** A word of the vCPU that a frame is about. */
  ofVcpu(frame: number, word: number): number {
    return this.words[this.words[frame + FrameWord.vcpu]! * vcpuStride + word]!;
  }

  setOfVcpu(frame: number, word: number, value: number): void {
    this.words[this.words[frame + FrameWord.vcpu]! * vcpuStride + word] = value;
  }

  // Wakeup lists.

  /** The first of {@link listWords} words of a CPU's list. */
  listAt(cpu: number): number {
    return this.#lists + cpu * this.listWords;
  }

  isOnList(cpu: number, vcpu: number): boolean {
    return (this.words[this.#lists + cpu * this.listWords + (vcpu >>> 5)]! & (1 << vcpu)) !== 0;
  }

  addToList(cpu: number, vcpu: number): void {
    const at = this.#lists + cpu * this.listWords + (vcpu >>> 5);
    this.words[at]! |= 1 << vcpu;
    this.words[this.vcpuAt(vcpu) + VcpuWord.listed]! += 1;
  }

  removeFromList(cpu: number, vcpu: number): void {
    const at = this.#lists + cpu * this.listWords + (vcpu >>> 5);
    this.words[at]! &= ~(1 << vcpu);
    this.words[this.vcpuAt(vcpu) + VcpuWord.listed]! -= 1;
  }

  /** The next vCPU on a CPU's list after one, from -1; -1 at the end. */
  nextOnList(cpu: number, after: number): number {
    const first = this.#lists + cpu * this.listWords;
    let group = (after + 1) >>> 5;
    let bits = group < this.listWords ? this.words[first + group]! & (-1 << ((after + 1) & 31)) : 0;
    while (bits === 0 && ++group < this.listWords) bits = this.words[first + group]!;
    if (bits !== 0) return (group << 5) | (31 - Math.clz32(bits & -bits));
    return -1;
  }

  /** How many stand on wakeup lists, over all CPUs: none when all vCPUs are gone. */
  get listed(): number {
    let count = 0;
    for (let vcpu = 0; vcpu < this.shape.vcpus; vcpu++)
      count += this.words[this.vcpuAt(vcpu) + VcpuWord.listed]!;
    return count;
  }
}
