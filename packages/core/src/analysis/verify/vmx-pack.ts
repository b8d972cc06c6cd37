import * as pid from "../../spec/accessors/posted-descriptor.ts";
import { postedInterruptVector, wakeupVector } from "../../linux/posting/posting-state.ts";
import { FrameWord, VcpuWord, frameStride } from "../../linux/posting/words.ts";

// Each kind of part in one word: straight through, since a search does this for every move. Widths hold what sizes and
// steps allow; tests hold that what is packed comes out as it was.

/** Words of a vCPU beside the protocol's own: budgets, whether it is to give its CPU up, and IRR. */
export const Own = { halts: 0, preemptions: 1, migrations: 2, reschedule: 3, irr: 4 } as const;
export const ownStride = 5;

/** The guest's vectors begin here, and are fewer than {@link vectorBits}. */
export const firstVector = 8;
const vectorBits = 8;
const vectorMask = (1 << vectorBits) - 1;

export const vcpuLive: readonly number[] = [
  VcpuWord.mode,
  VcpuWord.cpu,
  VcpuWord.loaded,
  VcpuWord.inGuest,
  VcpuWord.blocking,
  VcpuWord.sleeping,
  VcpuWord.preempted,
  VcpuWord.interruptsOff,
  VcpuWord.unblock,
  VcpuWord.halted,
  VcpuWord.listed,
];

/** CPUs are from -1 to 4, budgets from 0 to 4; a vCPU may stand on two lists, and on one more in the next state. */
export function packVcpu(words: Int32Array, at: number, own: number): number {
  return (
    words[at + VcpuWord.mode]! |
    ((words[at + VcpuWord.cpu]! + 1) << 2) |
    (words[at + VcpuWord.loaded]! << 5) |
    (words[at + VcpuWord.inGuest]! << 6) |
    (words[at + VcpuWord.blocking]! << 7) |
    (words[at + VcpuWord.sleeping]! << 8) |
    (words[at + VcpuWord.preempted]! << 9) |
    (words[at + VcpuWord.interruptsOff]! << 10) |
    (words[at + VcpuWord.unblock]! << 11) |
    (words[at + VcpuWord.halted]! << 12) |
    ((words[at + VcpuWord.listed]! + 1) << 13) |
    (words[own + Own.halts]! << 16) |
    (words[own + Own.preemptions]! << 19) |
    (words[own + Own.migrations]! << 22) |
    (words[own + Own.reschedule]! << 25)
  );
}

export function unpackVcpu(words: Int32Array, at: number, own: number, packed: number): void {
  words[at + VcpuWord.mode] = packed & 3;
  words[at + VcpuWord.cpu] = ((packed >>> 2) & 7) - 1;
  words[at + VcpuWord.loaded] = (packed >>> 5) & 1;
  words[at + VcpuWord.inGuest] = (packed >>> 6) & 1;
  words[at + VcpuWord.blocking] = (packed >>> 7) & 1;
  words[at + VcpuWord.sleeping] = (packed >>> 8) & 1;
  words[at + VcpuWord.preempted] = (packed >>> 9) & 1;
  words[at + VcpuWord.interruptsOff] = (packed >>> 10) & 1;
  words[at + VcpuWord.unblock] = (packed >>> 11) & 1;
  words[at + VcpuWord.halted] = (packed >>> 12) & 1;
  words[at + VcpuWord.listed] = ((packed >>> 13) & 7) - 1;
  words[own + Own.halts] = (packed >>> 16) & 7;
  words[own + Own.preemptions] = (packed >>> 19) & 7;
  words[own + Own.migrations] = (packed >>> 22) & 7;
  words[own + Own.reschedule] = (packed >>> 25) & 1;
}

export const threadLive: readonly number[] = [
  FrameWord.step,
  FrameWord.cpu,
  FrameWord.value,
  FrameWord.part,
  FrameWord.back,
  FrameWord.resume,
];

/** Steps have numbers below 128; a value is a CPU's NDST, or -1 in its place. */
export function packThread(words: Int32Array, at: number): number {
  return (
    words[at + FrameWord.step]! |
    (words[at + FrameWord.cpu]! << 7) |
    ((words[at + FrameWord.value]! + 1) << 10) |
    (words[at + FrameWord.part]! << 13) |
    (words[at + FrameWord.back]! << 16) |
    (words[at + FrameWord.resume]! << 23)
  );
}

export function unpackThread(words: Int32Array, at: number, packed: number): void {
  words[at + FrameWord.step] = packed & 127;
  words[at + FrameWord.cpu] = (packed >>> 7) & 7;
  words[at + FrameWord.value] = ((packed >>> 10) & 7) - 1;
  words[at + FrameWord.part] = (packed >>> 13) & 7;
  words[at + FrameWord.back] = (packed >>> 16) & 127;
  words[at + FrameWord.resume] = (packed >>> 23) & 127;
}

export const descriptorLive: readonly number[] = [pid.PIR_WORD, pid.ON_WORD, pid.NDST_WORD];

/** NV is one of two vectors, and NDST a CPU. */
export function packDescriptor(words: Int32Array, at: number, irr: number): number {
  const control = words[at + pid.ON_WORD]!;
  return (
    (words[at + pid.PIR_WORD]! >>> firstVector) |
    ((words[irr]! >>> firstVector) << vectorBits) |
    ((control & (pid.ON_MASK | pid.SN_MASK)) << (2 * vectorBits)) |
    (Number(pid.nvOf(control) === wakeupVector) << 18) |
    (words[at + pid.NDST_WORD]! << 19)
  );
}

export function unpackDescriptor(words: Int32Array, at: number, irr: number, packed: number): void {
  const nv = ((packed >>> 18) & 1) === 1 ? wakeupVector : postedInterruptVector;
  words[at + pid.PIR_WORD] = (packed & vectorMask) << firstVector;
  words[irr] = ((packed >>> vectorBits) & vectorMask) << firstVector;
  words[at + pid.ON_WORD] =
    ((packed >>> (2 * vectorBits)) & (pid.ON_MASK | pid.SN_MASK)) | (nv << pid.NV_SHIFT);
  words[at + pid.NDST_WORD] = (packed >>> 19) & 7;
}

export const handlerLive: readonly number[] = [
  FrameWord.step,
  FrameWord.vcpu,
  FrameWord.part,
  FrameWord.back,
];

/** vCPUs are from -1 to 3; of each kind of interrupt one can wait. */
export function packCpu(words: Int32Array, at: number, list: number, apic: number): number {
  return (
    words[at + FrameWord.step]! |
    ((words[at + FrameWord.vcpu]! + 1) << 7) |
    (words[at + FrameWord.part]! << 10) |
    (words[at + FrameWord.back]! << 13) |
    (words[list]! << 20) |
    (words[apic]! << 24)
  );
}

export function unpackCpu(words: Int32Array, at: number, list: number, apic: number, packed: number): void {
  words[at + FrameWord.step] = packed & 127;
  words[at + FrameWord.vcpu] = ((packed >>> 7) & 7) - 1;
  words[at + FrameWord.part] = (packed >>> 10) & 7;
  words[at + FrameWord.back] = (packed >>> 13) & 127;
  words[list] = (packed >>> 20) & 15;
  words[apic] = (packed >>> 24) & 7;
}

/** Registers of those who change entries: all but what they were called with. */
export const hostLive: readonly number[] = Array.from({ length: frameStride }, (_, word) => word).filter(
  (word) =>
    ![FrameWord.vector, FrameWord.entry, FrameWord.vm, FrameWord.cpu, FrameWord.resume].some(
      (each) => each === word,
    ),
);

/** Registers of devices and senders: to which vCPU they post, and what, stays as it is. */
export const senderLive: readonly number[] = [
  FrameWord.step,
  FrameWord.value,
  FrameWord.part,
  FrameWord.back,
];

/** A part is a vector on its way. */
export function packSender(words: Int32Array, at: number): number {
  return (
    words[at + FrameWord.step]! |
    (words[at + FrameWord.value]! << 7) |
    (words[at + FrameWord.part]! << 10) |
    (words[at + FrameWord.back]! << 18)
  );
}

export function unpackSender(words: Int32Array, at: number, packed: number): void {
  words[at + FrameWord.step] = packed & 127;
  words[at + FrameWord.value] = (packed >>> 7) & 7;
  words[at + FrameWord.part] = (packed >>> 10) & 255;
  words[at + FrameWord.back] = (packed >>> 18) & 127;
}
