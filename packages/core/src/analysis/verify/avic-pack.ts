import { AvicEntryWord, AvicLogWord, AvicVcpuWord } from "../../linux/posting/avic-state.ts";
import { EntryWord, FrameWord, VcpuWord } from "../../linux/posting/words.ts";
import * as physical from "../../spec/accessors/avic-physical-entry.ts";

// Each kind of part in one word: a number of a CPU, a vCPU or an entry in three bits, that of a step in seven.

/** Words of each vCPU beside the protocol's own. */
export const SpareWord = {
  /** IRR of its backing page: a bit for each sender, eight at most. */
  irr: 0,
  /** In guest mode: the processor has looked at IRR since it last changed. */
  noticed: 1,
  // What is left of each.
  halts: 2,
  preemptions: 3,
  migrations: 4,
  /** The scheduler wants the CPU: the thread gives it up where it next can. */
  reschedule: 5,
} as const;

export const spareStride = 6;

export const vcpuWords: readonly number[] = [
  VcpuWord.mode,
  VcpuWord.cpu,
  VcpuWord.loaded,
  VcpuWord.inGuest,
  VcpuWord.blocking,
  VcpuWord.sleeping,
  VcpuWord.preempted,
  VcpuWord.interruptsOff,
  VcpuWord.halted,
  VcpuWord.preemptionOff,
];

export function packVcpu(words: Int32Array, at: number, spare: number): number {
  return (
    words[at + VcpuWord.mode]! |
    (words[at + VcpuWord.cpu]! << 2) |
    (words[at + VcpuWord.loaded]! << 5) |
    (words[at + VcpuWord.inGuest]! << 6) |
    (words[at + VcpuWord.blocking]! << 7) |
    (words[at + VcpuWord.sleeping]! << 8) |
    (words[at + VcpuWord.preempted]! << 9) |
    (words[at + VcpuWord.interruptsOff]! << 10) |
    (words[at + VcpuWord.halted]! << 11) |
    (words[at + VcpuWord.preemptionOff]! << 12) |
    (words[spare + SpareWord.halts]! << 13) |
    (words[spare + SpareWord.preemptions]! << 16) |
    (words[spare + SpareWord.migrations]! << 19) |
    (words[spare + SpareWord.reschedule]! << 22) |
    (words[spare + SpareWord.noticed]! << 23) |
    (words[spare + SpareWord.irr]! << 24)
  );
}

export function unpackVcpu(words: Int32Array, at: number, spare: number, packed: number): void {
  words[at + VcpuWord.mode] = packed & 3;
  words[at + VcpuWord.cpu] = (packed >>> 2) & 7;
  words[at + VcpuWord.loaded] = (packed >>> 5) & 1;
  words[at + VcpuWord.inGuest] = (packed >>> 6) & 1;
  words[at + VcpuWord.blocking] = (packed >>> 7) & 1;
  words[at + VcpuWord.sleeping] = (packed >>> 8) & 1;
  words[at + VcpuWord.preempted] = (packed >>> 9) & 1;
  words[at + VcpuWord.interruptsOff] = (packed >>> 10) & 1;
  words[at + VcpuWord.halted] = (packed >>> 11) & 1;
  words[at + VcpuWord.preemptionOff] = (packed >>> 12) & 1;
  words[spare + SpareWord.halts] = (packed >>> 13) & 7;
  words[spare + SpareWord.preemptions] = (packed >>> 16) & 7;
  words[spare + SpareWord.migrations] = (packed >>> 19) & 7;
  words[spare + SpareWord.reschedule] = (packed >>> 22) & 1;
  words[spare + SpareWord.noticed] = (packed >>> 23) & 1;
  words[spare + SpareWord.irr] = packed >>> 24;
}

export const threadRegisters: readonly number[] = [
  FrameWord.step,
  FrameWord.back,
  FrameWord.resume,
  FrameWord.value,
  FrameWord.part,
  FrameWord.cpu,
];

export function packThread(words: Int32Array, frame: number): number {
  return (
    words[frame + FrameWord.step]! |
    (words[frame + FrameWord.back]! << 7) |
    (words[frame + FrameWord.resume]! << 14) |
    (words[frame + FrameWord.value]! << 21) |
    (words[frame + FrameWord.part]! << 24) |
    (words[frame + FrameWord.cpu]! << 27)
  );
}

export function unpackThread(words: Int32Array, frame: number, packed: number): void {
  words[frame + FrameWord.step] = packed & 127;
  words[frame + FrameWord.back] = (packed >>> 7) & 127;
  words[frame + FrameWord.resume] = (packed >>> 14) & 127;
  words[frame + FrameWord.value] = (packed >>> 21) & 7;
  words[frame + FrameWord.part] = (packed >>> 24) & 7;
  words[frame + FrameWord.cpu] = packed >>> 27;
}

/** Of the entry in the physical APIC id table and of KVM's copy the CPU and two bits change, the rest stays. */
const runs = physical.ISRUNNING_MASK;
const logs = physical.GALOGINTR_MASK;

export function packAvic(words: Int32Array, at: number, table: number): number {
  return (
    (words[at + AvicVcpuWord.low]! & 7) |
    ((words[table]! & 7) << 3) |
    (words[at + AvicVcpuWord.list]! << 6) |
    (words[at + AvicVcpuWord.lock]! << 9) |
    (words[at + AvicVcpuWord.log]! << 10) |
    ((words[at + AvicVcpuWord.high]! & runs) !== 0 ? 1 << 11 : 0) |
    ((words[at + AvicVcpuWord.high]! & logs) !== 0 ? 1 << 12 : 0) |
    ((words[table + 1]! & runs) !== 0 ? 1 << 13 : 0)
  );
}

export function unpackAvic(words: Int32Array, at: number, table: number, packed: number): void {
  words[at + AvicVcpuWord.low] = (words[at + AvicVcpuWord.low]! & ~7) | (packed & 7);
  words[table] = (words[table]! & ~7) | ((packed >>> 3) & 7);
  words[at + AvicVcpuWord.list] = (packed >>> 6) & 7;
  words[at + AvicVcpuWord.lock] = (packed >>> 9) & 1;
  words[at + AvicVcpuWord.log] = (packed >>> 10) & 1;
  const high = words[at + AvicVcpuWord.high]! & ~(runs | logs);
  words[at + AvicVcpuWord.high] = high | ((packed >>> 11) & 1 ? runs : 0) | ((packed >>> 12) & 1 ? logs : 0);
  words[table + 1] = (words[table + 1]! & ~runs) | ((packed >>> 13) & 1 ? runs : 0);
}

export const otherRegisters: readonly number[] = [
  FrameWord.step,
  FrameWord.back,
  FrameWord.vcpu,
  FrameWord.value,
  FrameWord.part,
  FrameWord.irte,
];

export function packOther(words: Int32Array, frame: number): number {
  return (
    words[frame + FrameWord.step]! |
    (words[frame + FrameWord.back]! << 7) |
    (words[frame + FrameWord.vcpu]! << 14) |
    (words[frame + FrameWord.value]! << 17) |
    (words[frame + FrameWord.part]! << 20) |
    (words[frame + FrameWord.irte]! << 23)
  );
}

export function unpackOther(words: Int32Array, frame: number, packed: number): void {
  words[frame + FrameWord.step] = packed & 127;
  words[frame + FrameWord.back] = (packed >>> 7) & 127;
  words[frame + FrameWord.vcpu] = (packed >>> 14) & 7;
  words[frame + FrameWord.value] = (packed >>> 17) & 7;
  words[frame + FrameWord.part] = (packed >>> 20) & 7;
  words[frame + FrameWord.irte] = packed >>> 23;
}

export function packLog(words: Int32Array, logAt: number, frame: number): number {
  return (
    words[frame + FrameWord.step]! |
    (words[frame + FrameWord.back]! << 7) |
    (words[frame + FrameWord.vcpu]! << 14) |
    (words[logAt + AvicLogWord.status]! << 17) |
    (words[logAt + AvicLogWord.raised]! << 18)
  );
}

export function unpackLog(words: Int32Array, logAt: number, frame: number, packed: number): void {
  words[frame + FrameWord.step] = packed & 127;
  words[frame + FrameWord.back] = (packed >>> 7) & 127;
  words[frame + FrameWord.vcpu] = (packed >>> 14) & 7;
  words[logAt + AvicLogWord.status] = (packed >>> 17) & 1;
  words[logAt + AvicLogWord.raised] = packed >>> 18;
}

export function packEntry(words: Int32Array, avic: number, at: number): number {
  return (
    (words[avic + AvicEntryWord.vcpu]! + 1) |
    (words[avic + AvicEntryWord.next]! << 3) |
    (words[avic + AvicEntryWord.destination]! << 6) |
    (words[avic + AvicEntryWord.held]! << 9) |
    (words[at + EntryWord.posted]! << 12) |
    (words[at + EntryWord.asked]! << 15) |
    (words[avic + AvicEntryWord.isRun]! << 18) |
    (words[avic + AvicEntryWord.gaLogIntr]! << 19) |
    (words[avic + AvicEntryWord.lock]! << 20) |
    (words[avic + AvicEntryWord.disabled]! << 21)
  );
}

export function unpackEntry(words: Int32Array, avic: number, at: number, packed: number): void {
  words[avic + AvicEntryWord.vcpu] = (packed & 7) - 1;
  words[avic + AvicEntryWord.next] = (packed >>> 3) & 7;
  words[avic + AvicEntryWord.destination] = (packed >>> 6) & 7;
  words[avic + AvicEntryWord.held] = (packed >>> 9) & 7;
  words[at + EntryWord.posted] = (packed >>> 12) & 7;
  words[at + EntryWord.asked] = (packed >>> 15) & 7;
  words[avic + AvicEntryWord.isRun] = (packed >>> 18) & 1;
  words[avic + AvicEntryWord.gaLogIntr] = (packed >>> 19) & 1;
  words[avic + AvicEntryWord.lock] = (packed >>> 20) & 1;
  words[avic + AvicEntryWord.disabled] = packed >>> 21;
}
