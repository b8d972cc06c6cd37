import * as entry from "../../spec/accessors/avic-physical-entry.ts";
import { FrameWord, type Shape, type ThreadPort, ThreadState } from "./words.ts";

/** What the steps of AVIC reach beyond what those of a thread do. */
export interface AvicPort extends ThreadPort {
  /** The physical APIC id of a CPU. */
  apicIdOf(cpu: number): number;
  /** A vector is set in IRR of a vCPU's backing page. */
  request(vcpu: number, vector: number): void;
  /** The doorbell of the CPU with this APIC id is rung. */
  doorbell(apicId: number): void;
  /** A processor in guest mode looks at what its backing page holds. */
  evaluate(vcpu: number): void;
  /** Where a vCPU runs was written to an entry of the remapping table that posts to it: {@link AvicEntryWord}. */
  placed(entry: number): void;
  /** The remapping unit has logged an interrupt of a vCPU that does not run. */
  logged(vcpu: number): void;
}

/** Words of a vCPU that only AVIC has. */
export const AvicVcpuWord = {
  /** `avic_physical_id_entry`: KVM's own copy of the entry in the physical APIC id table. */
  low: 0,
  high: 1,
  /** `ir_list_lock` is held. */
  lock: 2,
  /** `ir_list`: the first entry that posts to it, plus one; 0 for none. */
  list: 3,
  /** The guest log has an entry for it that was not read. */
  log: 4,
} as const;

const vcpuStride = 8;

/** Words of an entry of the remapping table, as far as it is a vCPU's. */
export const AvicEntryWord = {
  /** Whom it posts to; -1 for the host. */
  vcpu: 0,
  /** The next one on the same `ir_list`, plus one; 0 at the end. */
  next: 1,
  /** Destination: the host APIC id that doorbells go to. */
  destination: 2,
  isRun: 3,
  gaLogIntr: 4,
  /** Somebody has locked the interrupt's descriptor, under which its mode changes. */
  lock: 5,
  /** RemapEn, inverted. */
  disabled: 6,
  /** What the unit keeps of it: 0 for nothing, 1 for an entry of the host, or the vCPU that it posts to plus two. */
  held: 7,
} as const;

const entryStride = 8;

/** Words of the unit's guest log. */
export const AvicLogWord = {
  /** GALogInt of the status register. */
  status: 0,
  /** Its interrupt is on the way to a CPU. */
  raised: 1,
} as const;

const logWords = 2;

export interface AvicOptions {
  /**
   * Where each vCPU's entry of the physical APIC id table is: in the memory of a machine, beside the other words
   * unless told.
   */
  readonly tables?: { readonly words: Int32Array; physicalAt(vcpu: number): number };
  /** Words for whoever explores the state, beside the protocol's own: they begin at {@link AvicState.spareAt}. */
  readonly spare?: number;
}

/** The state of AVIC's protocol: physical APIC id tables in their real layout, and what threads and CPUs share. */
export class AvicState extends ThreadState {
  readonly port: AvicPort;
  readonly tables: Int32Array;
  readonly #physicalAt: (vcpu: number) => number;
  /** Where the words of the guest log begin. */
  readonly logAt: number;
  readonly spareAt: number;
  readonly #entries: number;

  constructor(shape: Shape, port: AvicPort, options: AvicOptions = {}) {
    const own = shape.vcpus * vcpuStride + shape.entries * entryStride + logWords;
    const table = options.tables === undefined ? shape.vcpus * entry.WORDS : 0;
    super(shape, own + table + (options.spare ?? 0));
    this.port = port;
    this.#entries = this.more + shape.vcpus * vcpuStride;
    this.logAt = this.#entries + shape.entries * entryStride;
    const beside = this.more + own;
    this.spareAt = beside + table;
    this.tables = options.tables?.words ?? this.words;
    this.#physicalAt =
      options.tables === undefined
        ? (vcpu) => beside + vcpu * entry.WORDS
        : (vcpu) => options.tables!.physicalAt(vcpu);
    for (let i = 0; i < shape.entries; i++) this.setOfEntry(i, AvicEntryWord.vcpu, -1);
  }

  avicAt(vcpu: number): number {
    return this.more + vcpu * vcpuStride;
  }

  /** A word of the vCPU that a frame is about. */
  avic(frame: number, word: number): number {
    return this.words[this.avicAt(this.words[frame + FrameWord.vcpu]!) + word]!;
  }

  setAvic(frame: number, word: number, value: number): void {
    this.words[this.avicAt(this.words[frame + FrameWord.vcpu]!) + word] = value;
  }

  /** Where AVIC's words of an entry begin. */
  avicEntryAt(entryNumber: number): number {
    return this.#entries + entryNumber * entryStride;
  }

  ofEntry(entryNumber: number, word: number): number {
    return this.words[this.#entries + entryNumber * entryStride + word]!;
  }

  setOfEntry(entryNumber: number, word: number, value: number): void {
    this.words[this.#entries + entryNumber * entryStride + word] = value;
  }

  /** The first word of a vCPU's entry, in {@link tables}. */
  physicalAt(vcpu: number): number {
    return this.#physicalAt(vcpu);
  }

  /** `avic_init_backing_page`: a vCPU that does not run. */
  resetAvic(vcpu: number, backingPage: number): void {
    const at = this.avicAt(vcpu);
    this.words.fill(0, at, at + vcpuStride);
    this.words[at + AvicVcpuWord.low] = backingPage | 0;
    this.words[at + AvicVcpuWord.high] = entry.V_MASK | Math.floor(backingPage / 2 ** 32);
    const physical = this.physicalAt(vcpu);
    this.tables[physical] = this.words[at + AvicVcpuWord.low]!;
    this.tables[physical + 1] = this.words[at + AvicVcpuWord.high]!;
  }

  /** The vCPU goes away: its entry is invalid. */
  clearAvic(vcpu: number): void {
    const at = this.avicAt(vcpu);
    this.words.fill(0, at, at + vcpuStride);
    const physical = this.physicalAt(vcpu);
    this.tables.fill(0, physical, physical + entry.WORDS);
  }

  /** Whether hardware virtualizes the APIC of the vCPU that a frame is about. */
  hasAvic(frame: number): boolean {
    return entry.vOf(this.avic(frame, AvicVcpuWord.high)) === 1;
  }

  /** Whether KVM's copy says that it runs. */
  isRunning(frame: number): boolean {
    return entry.isrunningOf(this.avic(frame, AvicVcpuWord.high)) === 1;
  }

  /** A free entry; -1 if there is none. */
  freeEntry(): number {
    for (let i = 0; i < this.shape.entries; i++) if (this.ofEntry(i, AvicEntryWord.vcpu) < 0) return i;
    return -1;
  }

  /** How many entries post to vCPUs. */
  get posting(): number {
    let count = 0;
    for (let i = 0; i < this.shape.entries; i++) if (this.ofEntry(i, AvicEntryWord.vcpu) >= 0) count++;
    return count;
  }

  addToIrList(vcpu: number, entryNumber: number): void {
    const at = this.avicAt(vcpu) + AvicVcpuWord.list;
    this.setOfEntry(entryNumber, AvicEntryWord.next, this.words[at]!);
    this.words[at] = entryNumber + 1;
  }

  removeFromIrList(vcpu: number, entryNumber: number): void {
    const head = this.avicAt(vcpu) + AvicVcpuWord.list;
    const next = this.ofEntry(entryNumber, AvicEntryWord.next);
    if (this.words[head] === entryNumber + 1) {
      this.words[head] = next;
      return;
    }
    let before = this.words[head]! - 1;
    while (before >= 0 && this.ofEntry(before, AvicEntryWord.next) !== entryNumber + 1) {
      before = this.ofEntry(before, AvicEntryWord.next) - 1;
    }
    if (before >= 0) this.setOfEntry(before, AvicEntryWord.next, next);
  }
}
