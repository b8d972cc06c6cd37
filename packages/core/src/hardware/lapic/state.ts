import { divisorOf } from "../../spec/apic/local-apic.ts";
import * as apicBase from "../../spec/accessors/apic-base.ts";
import * as dfr from "../../spec/accessors/apic-dfr.ts";
import * as svr from "../../spec/accessors/apic-svr.ts";
import * as timer from "../../spec/accessors/apic-lvt-timer.ts";

/**
 * The words of one local APIC in the fabric's state. IRR and TMR come first, so that what a delivery touches is
 * 64 bytes in a row. Vector bits stand as the hardware numbers them: vector v is bit v & 31 of word v >> 5.
 */
export const word = {
  irr: 0,
  tmr: 8,
  isr: 16,
  id: 24,
  ldr: 25,
  dfr: 26,
  svr: 27,
  tpr: 28,
  /** Events that bypass IRR: see {@link event}. */
  events: 29,
  startupVector: 30,
  /** What a read of ESR shows, and what has been gathered since. */
  esr: 31,
  errors: 32,
  icr: 33,
  icrHigh: 34,
  /** IA32_APIC_BASE, two words. */
  base: 35,
  cmci: 37,
  timer: 38,
  thermal: 39,
  performance: 40,
  lint0: 41,
  lint1: 42,
  error: 43,
  initialCount: 44,
  currentCount: 45,
  divide: 46,
  /** Ticks that the divider has swallowed so far. */
  prescale: 47,
  /** IA32_TSC_DEADLINE, two words. */
  deadline: 48,
} as const;

/** Words from one APIC to the next, as a shift. */
export const strideShift = 6;

/** Events that a processor takes without a vector of its own. */
export const event = { nmi: 1, smi: 2, init: 4, startup: 8, extInt: 16 } as const;

/** Brings registers to what they hold after power-up or INIT; id and IA32_APIC_BASE stay (apic.init). */
export function resetRegisters(state: Int32Array, base: number): void {
  const id = state[base + word.id]!;
  const low = state[base + word.base]!;
  const high = state[base + word.base + 1]!;
  state.fill(0, base, base + (1 << strideShift));
  state[base + word.id] = id;
  state[base + word.base] = low;
  state[base + word.base + 1] = high;
  state[base + word.dfr] = dfr.ONES_MASK | dfr.MODEL_MASK;
  state[base + word.svr] = svr.V_MASK;
  state.fill(timer.MASK_MASK, base + word.cmci, base + word.error + 1);
}

/** Whether IA32_APIC_BASE has the APIC on. */
export function enabled(state: Int32Array, base: number): boolean {
  return apicBase.en(state, base + word.base) === 1;
}

export function inX2apicMode(state: Int32Array, base: number): boolean {
  return apicBase.extd(state, base + word.base) === 1;
}

/** Whether fixed interrupts are accepted: on in IA32_APIC_BASE and in SVR. */
export function softwareEnabled(state: Int32Array, base: number): boolean {
  return enabled(state, base) && svr.en(state[base + word.svr]!) === 1;
}

/** The highest vector of the eight words at `at`; -1 if none is set. */
export function highest(state: Int32Array, at: number): number {
  for (let i = 7; i >= 0; i--) {
    const bits = state[at + i]!;
    if (bits !== 0) return (i << 5) | (31 - Math.clz32(bits));
  }
  return -1;
}

export function setVector(state: Int32Array, at: number, vector: number): void {
  state[at + (vector >>> 5)] = state[at + (vector >>> 5)]! | (1 << vector);
}

export function clearVector(state: Int32Array, at: number, vector: number): void {
  state[at + (vector >>> 5)] = state[at + (vector >>> 5)]! & ~(1 << vector);
}

export function hasVector(state: Int32Array, at: number, vector: number): boolean {
  return (state[at + (vector >>> 5)]! & (1 << vector)) !== 0;
}

/** PPR, from a task priority and the highest vector in service, -1 if there is none. */
export function processorPriority(taskPriority: number, inService: number): number {
  // apic.priority.processor, vmx.ppr.virtualization
  const service = inService < 0 ? 0 : inService & 0xf0;
  return (taskPriority & 0xf0) >= service ? taskPriority & 0xff : service;
}

/** APR: what lowest-priority delivery compares; the highest pending vector counts too. */
export function arbitrationPriority(state: Int32Array, base: number): number {
  const taskPriority = state[base + word.tpr]!;
  const service = Math.max(highest(state, base + word.isr), 0) & 0xf0;
  const request = Math.max(highest(state, base + word.irr), 0) & 0xf0;
  const task = taskPriority & 0xf0;
  return task >= request && task > service ? taskPriority : Math.max(task, service, request);
}

/** The pending vector that PPR lets through; -1 if there is none. */
export function dispensable(state: Int32Array, base: number): number {
  const vector = highest(state, base + word.irr);
  if (vector < 0) return -1;
  const priority = processorPriority(state[base + word.tpr]!, highest(state, base + word.isr));
  // apic.priority.dispense
  return (vector & 0xf0) > (priority & 0xf0) ? vector : -1;
}

/** LDR in x2APIC mode (apic.ldr.derived): bits 19:4 of the id name the cluster, bits 3:0 the member. */
export function derivedLogicalId(id: number): number {
  return ((id >>> 4) << 16) | (1 << (id & 15));
}

/** The divisor that the timer's clock goes through. */
export function timerDivisor(state: Int32Array, base: number): number {
  return divisorOf(state[base + word.divide]!);
}
