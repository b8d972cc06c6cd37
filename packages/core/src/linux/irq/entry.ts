import { kernelFunction } from "../kernel-function.ts";
import type { Cpu } from "../cpu.ts";
import type { Kernel } from "../kernel.ts";
import { vectors } from "./vectors.ts";

export { setSystemVector } from "./system-vector.ts";

/** Dispatches a vector to the interrupt that has it on this CPU. @returns whether there is one. */
export function callIrqHandler(k: Kernel, vector: number): boolean {
  const cpu = k.cpu.number;
  const descriptor = k.irqs.vectors!.table[cpu]![vector]!;
  if (descriptor === null) unhandled(k, cpu, vector);
  else {
    k.irqs.taken++;
    descriptor.flow(k, descriptor);
  }
  return descriptor !== null;
}

function dispatch(k: Kernel, vector: number): void {
  if (!callIrqHandler(k, vector)) k.cpu.apic.eoi();
}

const commonInterruptInner = kernelFunction("__common_interrupt", dispatch);
const commonInterrupt = kernelFunction("common_interrupt", commonInterruptInner);
const asmCommonInterrupt = kernelFunction("asm_common_interrupt", commonInterrupt, { idtEntry: true });

/** Until 5.7 the entry in assembly had the name that the function in C has now. */
const doIrq = kernelFunction("do_IRQ", dispatch);
const oldCommonInterrupt = kernelFunction("common_interrupt", doIrq, { idtEntry: true });

function unhandled(k: Kernel, cpu: number, vector: number): void {
  const excused = k.irqs.vectors!.excused[cpu]!;
  if (excused[vector] === 0) k.log.err(unhandledText(k, cpu, vector));
  excused[vector] = 0;
}

function unhandledText(k: Kernel, cpu: number, vector: number): string {
  if (k.runs({ from: "6.16" })) return `No irq handler for ${cpu}.${vector}`;
  let entry = "call_irq_handler";
  if (k.runs({ below: "6.10" })) entry = k.runs({ below: "5.8" }) ? "do_IRQ" : "__common_interrupt";
  return `${entry}: ${cpu}.${vector} No irq handler for vector`;
}

/** A system vector that nobody has set up. What the local APIC itself calls spurious is not in service. */
function spurious(k: Kernel, vector: number): void {
  const cpu = k.cpu.number;
  if (vector === vectors.SPURIOUS) {
    k.log.info(`Spurious APIC interrupt (vector 0xFF) on CPU#${cpu}, should never happen.`);
    return;
  }
  k.log.info(`Spurious interrupt (vector 0x${vector.toString(16)}) on CPU#${cpu}. Acked`);
  k.cpu.apic.eoi();
}

const handleSpurious = kernelFunction("handle_spurious_interrupt", spurious);
const spuriousInterrupt = kernelFunction("spurious_interrupt", handleSpurious);
const asmSpuriousInterrupt = kernelFunction("asm_spurious_interrupt", spuriousInterrupt, { idtEntry: true });
const smpSpuriousInterrupt = kernelFunction("smp_spurious_interrupt", spurious);
const commonSpurious = kernelFunction("common_spurious", smpSpuriousInterrupt, { idtEntry: true });

/**
 * A CPU takes a vector that its local APIC has acknowledged: the entry of the IDT, and all that follows until it
 * returns. Vectors below 20h, the exceptions', do nothing and stay in service.
 */
export function interrupt(k: Kernel, cpu: Cpu, vector: number): void {
  const before = k.cpu;
  k.cpu = cpu;
  try {
    enter(k, cpu, vector);
  } finally {
    k.cpu = before;
  }
}

function enter(k: Kernel, cpu: Cpu, vector: number): void {
  const system = k.irqs.systemVectors[vector]!;
  if (system !== null) {
    system.counts[cpu.number] = (system.counts[cpu.number] ?? 0) + 1;
    system.enter(k, cpu);
    return;
  }
  const { oldEntry, firstSystemVector } = k.irqs.vectors!;
  if (vector < vectors.FIRST_EXTERNAL) return;
  if (vector >= firstSystemVector) (oldEntry ? commonSpurious : asmSpuriousInterrupt)(k, vector);
  // The calls on the way to the dispatcher do nothing but be seen.
  else if (k.calls.listener === null) dispatch(k, vector);
  else (oldEntry ? oldCommonInterrupt : asmCommonInterrupt)(k, vector);
}
