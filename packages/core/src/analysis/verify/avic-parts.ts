import { AvicEntryWord, AvicLogWord, type AvicState, AvicVcpuWord } from "../../linux/posting/avic-state.ts";
import {
  SpareWord,
  otherRegisters,
  packAvic,
  packEntry,
  packLog,
  packOther,
  packThread,
  packVcpu,
  spareStride,
  threadRegisters,
  unpackAvic,
  unpackEntry,
  unpackLog,
  unpackOther,
  unpackThread,
  unpackVcpu,
  vcpuWords,
} from "./avic-pack.ts";
import type { AvicStepId } from "../../linux/posting/avic-steps.ts";
import type { StepTable } from "../../linux/posting/step.ts";
import { type ThreadStepId, threadStepIds } from "../../linux/posting/thread-steps.ts";
import { EntryWord, FrameWord } from "../../linux/posting/words.ts";
import * as physical from "../../spec/accessors/avic-physical-entry.ts";

/** Parts of a vCPU: what it and its backing page are at, its thread, what AVIC has of it. */
const Part = { vcpu: 0, thread: 1, avic: 2 } as const;
const vcpuParts = 3;

/**
 * The words that differ between states, by what changes together: three parts for each vCPU, one for each entry, for the
 * guest log and its handler, and for each of the others. Each goes into one word.
 */
export class AvicParts {
  readonly words: readonly (readonly number[])[];
  /** By a step's number, the parts that it changes beside those of whoever does it: a bit for each. */
  readonly touchedBy: Int32Array;
  readonly #state: AvicState;
  readonly #entries: number;
  readonly #log: number;
  readonly #others: number;

  constructor(state: AvicState, table: StepTable<AvicState, AvicStepId>) {
    const { vcpus, entries, others } = state.shape;
    this.#state = state;
    this.#entries = vcpuParts * vcpus;
    this.#log = this.#entries + entries;
    this.#others = this.#log + 1;
    this.words = [
      ...each(vcpus).flatMap((vcpu) => this.#ofVcpu(vcpu)),
      ...each(entries).map((entry) =>
        from(state.avicEntryAt(entry), Object.values(AvicEntryWord)).concat(
          from(state.entryAt(entry), Object.values(EntryWord)),
        ),
      ),
      [
        ...from(state.logAt, Object.values(AvicLogWord)),
        ...from(state.handlerAt(0), [FrameWord.step, FrameWord.vcpu, FrameWord.back]),
      ],
      ...each(others).map((other) => from(state.otherAt(other), otherRegisters)),
    ].map((part) => part.toSorted((one, other) => one - other));
    this.touchedBy = Int32Array.from([0, ...table.ids.map((id) => this.#reachOf(id))]);
  }

  #ofVcpu(vcpu: number): number[][] {
    const state = this.#state;
    return [
      [
        ...from(state.vcpuAt(vcpu), vcpuWords),
        ...from(state.spareAt + vcpu * spareStride, Object.values(SpareWord)),
      ],
      from(state.threadAt(vcpu), threadRegisters),
      [
        ...from(state.avicAt(vcpu), Object.values(AvicVcpuWord)),
        ...Array.from({ length: physical.WORDS }, (_, i) => state.physicalAt(vcpu) + i),
      ],
    ];
  }

  // Which parts moves touch.

  /** Bits for the parts of a vCPU and its thread. */
  ofThread(vcpu: number): number {
    return (1 << (vcpuParts * vcpu)) | (2 << (vcpuParts * vcpu));
  }

  get ofLog(): number {
    return 1 << this.#log;
  }

  ofOther(other: number): number {
    return 1 << (this.#others + other);
  }

  #reachOf(id: AvicStepId): number {
    const ofThread = threadStepIds.includes(id as ThreadStepId) || id.startsWith("block-");
    const reach = reaches[id] ?? (ofThread ? [] : places);
    let bits = 0;
    for (const each of reach) bits |= this.#bitsOf(each);
    return bits;
  }

  #bitsOf(reach: Reach): number {
    if (reach === "log") return this.ofLog;
    if (reach === "entries") return (1 << this.#log) - (1 << this.#entries);
    let bits = 0;
    for (let vcpu = 0; vcpu < this.#state.shape.vcpus; vcpu++) bits |= 1 << (vcpuParts * vcpu + Part[reach]);
    return bits;
  }

  // A part in one word.

  pack(part: number): number {
    const { words } = this.#state;
    if (part >= this.#others) return packOther(words, this.#state.otherAt(part - this.#others));
    if (part === this.#log) return packLog(words, this.#state.logAt, this.#state.handlerAt(0));
    if (part >= this.#entries) {
      const entry = part - this.#entries;
      return packEntry(words, this.#state.avicEntryAt(entry), this.#state.entryAt(entry));
    }
    const vcpu = Math.trunc(part / vcpuParts);
    switch (part % vcpuParts) {
      case Part.vcpu:
        return packVcpu(words, this.#state.vcpuAt(vcpu), this.#state.spareAt + vcpu * spareStride);
      case Part.thread:
        return packThread(words, this.#state.threadAt(vcpu));
      default:
        return packAvic(words, this.#state.avicAt(vcpu), this.#state.physicalAt(vcpu));
    }
  }

  unpack(part: number, packed: number): void {
    const state = this.#state;
    const { words } = state;
    if (part >= this.#others) return unpackOther(words, state.otherAt(part - this.#others), packed);
    if (part === this.#log) return unpackLog(words, state.logAt, state.handlerAt(0), packed);
    if (part >= this.#entries) {
      const entry = part - this.#entries;
      return unpackEntry(words, state.avicEntryAt(entry), state.entryAt(entry), packed);
    }
    const vcpu = Math.trunc(part / vcpuParts);
    switch (part % vcpuParts) {
      case Part.vcpu:
        return unpackVcpu(words, state.vcpuAt(vcpu), state.spareAt + vcpu * spareStride, packed);
      case Part.thread:
        return unpackThread(words, state.threadAt(vcpu), packed);
      default:
        return unpackAvic(words, state.avicAt(vcpu), state.physicalAt(vcpu), packed);
    }
  }
}

const each = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const from = (at: number, words: readonly number[]): number[] => words.map((word) => at + word);

type Reach = keyof typeof Part | "entries" | "log";

/** Whatever a routine of KVM does to entries and to where vCPUs run. */
const places: readonly Reach[] = ["avic", "entries"];

/** What steps change beside the registers of whoever does them; other steps of a vCPU's thread change nothing else. */
const reaches: Readonly<Partial<Record<AvicStepId, readonly Reach[]>>> = {
  "wake-vcpu": ["vcpu"],
  "device-request": ["entries"],
  "device-set-irr": ["vcpu"],
  "device-test-running": [],
  "device-doorbell": ["vcpu"],
  "device-log": ["avic"],
  "device-log-interrupt": ["log"],
  "ipi-request": ["vcpu"],
  "ipi-test-running": [],
  "ipi-doorbell": ["vcpu"],
  "software-request": ["vcpu"],
  "software-test-mode": [],
  "software-doorbell": ["vcpu"],
  "log-clear-interrupt": ["log"],
  "log-poll": ["avic"],
  "log-test-again": ["log"],
};
