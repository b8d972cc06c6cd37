import * as pid from "../../spec/accessors/posted-descriptor.ts";
import type { PostingState } from "./posting-state.ts";
import { FrameWord } from "./words.ts";

// What steps do to the descriptor of the vCPU that a frame is about.

export function control(state: PostingState, frame: number): number {
  return state.descriptors[descriptor(state, frame) + pid.ON_WORD]!;
}

export function setControl(state: PostingState, frame: number, value: number): void {
  state.descriptors[descriptor(state, frame) + pid.ON_WORD] = value;
}

export function descriptor(state: PostingState, frame: number): number {
  return state.descriptorAt(state.get(frame + FrameWord.vcpu));
}

/** `xchg` of 64 bits of PIR, into IRR. @returns whether a part is left. */
export function harvest(state: PostingState, frame: number): boolean {
  const quarter = state.get(frame + FrameWord.part);
  const vcpu = state.get(frame + FrameWord.vcpu);
  const at = state.descriptorAt(vcpu) + pid.PIR_WORD + 2 * quarter;
  for (let half = 0; half < 2; half++) {
    const vectors = state.descriptors[at + half]!;
    if (vectors === 0) continue;
    state.descriptors[at + half] = 0;
    state.port.request(vcpu, 2 * quarter + half, vectors);
  }
  return nextQuarter(state, frame);
}

export function nextQuarter(state: PostingState, frame: number): boolean {
  const next = state.get(frame + FrameWord.part) + 1;
  const more = next < state.quarters;
  state.set(frame + FrameWord.part, more ? next : 0);
  return more;
}

/** Sets PIR[vector]. @returns whether it was set. */
export function setPir(state: PostingState, frame: number): boolean {
  const vector = state.get(frame + FrameWord.vector);
  const at = descriptor(state, frame) + pid.PIR_WORD + (vector >>> 5);
  const was = state.descriptors[at]!;
  state.descriptors[at] = was | (1 << vector);
  return (was & (1 << vector)) !== 0;
}

export function withVector(word: number, vector: number): number {
  return (word & ~pid.NV_MASK) | (vector << pid.NV_SHIFT);
}
