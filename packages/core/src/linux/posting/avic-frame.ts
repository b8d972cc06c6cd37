import { type AvicState, AvicVcpuWord } from "./avic-state.ts";
import { FrameWord } from "./words.ts";

/** The vCPU that a frame is about. */
export function vcpuOf(state: AvicState, frame: number): number {
  return state.get(frame + FrameWord.vcpu);
}

/** The entry of the remapping table that it is about. */
export function entryOf(state: AvicState, frame: number): number {
  return state.get(frame + FrameWord.entry);
}

/** A spin lock: the step is repeated until it is free. */
export function lock(state: AvicState, frame: number, again: number, then: number): number {
  if (state.avic(frame, AvicVcpuWord.lock) !== 0) return again;
  state.setAvic(frame, AvicVcpuWord.lock, 1);
  return then;
}
