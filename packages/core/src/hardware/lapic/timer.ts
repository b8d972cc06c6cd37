import * as lvt from "../../spec/accessors/apic-lvt-timer.ts";
import { timerDivisor, word } from "./state.ts";

const periodic = 1;
const deadline = 2;

function modeOf(state: Int32Array, base: number): number {
  return lvt.mode(state[base + word.timer]!);
}

/** Starts the countdown, or stops it with 0 (apic.timer.count); ignored in TSC-deadline mode (apic.timer.deadline). */
export function writeInitialCount(state: Int32Array, base: number, count: number): void {
  if (modeOf(state, base) === deadline) return;
  state[base + word.initialCount] = count;
  state[base + word.currentCount] = count;
  state[base + word.prescale] = 0;
}

/** Writes the timer's LVT entry; a change to or from TSC-deadline mode disarms (apic.timer.mode-change). */
export function writeTimerEntry(state: Int32Array, base: number, entry: number): void {
  const before = modeOf(state, base);
  state[base + word.timer] = entry;
  const after = modeOf(state, base);
  if ((before === deadline) !== (after === deadline)) disarm(state, base);
}

function disarm(state: Int32Array, base: number): void {
  state[base + word.initialCount] = 0;
  state[base + word.currentCount] = 0;
  writeWide(state, base + word.deadline, 0n);
}

/** Arms the deadline, or disarms it with 0; ignored outside TSC-deadline mode (apic.timer.deadline). */
export function writeDeadline(state: Int32Array, base: number, tsc: bigint): void {
  if (modeOf(state, base) === deadline) writeWide(state, base + word.deadline, tsc);
}

export function readDeadline(state: Int32Array, base: number): bigint {
  return readWide(state, base + word.deadline);
}

/** The time-stamp counter has come to a value. @returns whether an armed deadline was reached, which disarms it. */
export function reachDeadline(state: Int32Array, base: number, tsc: bigint): boolean {
  const wanted = readDeadline(state, base);
  if (wanted === 0n || tsc < wanted) return false;
  writeWide(state, base + word.deadline, 0n);
  return true;
}

/**
 * The timer's input clock has ticked (apic.timer.count).
 * @param ticks an integer from 0 to 2^53 - 1 less 128.
 * @returns how often the count has reached zero.
 */
export function advanceTimer(state: Int32Array, base: number, ticks: number): number {
  const current = state[base + word.currentCount]! >>> 0;
  if (current === 0) return 0;
  const divisor = timerDivisor(state, base);
  const total = (state[base + word.prescale]! % divisor) + ticks;
  const steps = Math.floor(total / divisor);
  state[base + word.prescale] = total % divisor;
  if (steps < current) {
    state[base + word.currentCount] = current - steps;
    return 0;
  }
  const initial = state[base + word.initialCount]! >>> 0;
  if (modeOf(state, base) !== periodic) {
    state[base + word.currentCount] = 0;
    return 1;
  }
  const past = steps - current;
  state[base + word.currentCount] = initial - (past % initial);
  return 1 + Math.floor(past / initial);
}

/** The unsigned 64-bit value of two words, the low one first. */
export function readWide(state: Int32Array, at: number): bigint {
  return (BigInt(state[at + 1]! >>> 0) << 32n) | BigInt(state[at]! >>> 0);
}

export function writeWide(state: Int32Array, at: number, value: bigint): void {
  state[at] = Number(BigInt.asIntN(32, value));
  state[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
}
