import type { Cpu } from "../cpu.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { setSystemVector } from "./system-vector.ts";
import { cleanUpMovedVectors } from "./vector-move.ts";
import { vectors, withCleanupVector } from "./vectors.ts";

/** Gives CPUs what frees the vectors that interrupts have moved away from. */
export function initVectorCleanup(k: Kernel): void {
  if (k.runs(withCleanupVector)) {
    setSystemVector(k, vectors.IRQ_MOVE_CLEANUP, "sysvec_irq_move_cleanup_interrupt", cleanUpOrAgain);
  }
  setSystemVector(k, vectors.LOCAL_TIMER, "sysvec_apic_timer_interrupt", irqExit);
}

/** Of an interrupt that still waits for this CPU the vector is freed behind it. */
function cleanUpOrAgain(k: Kernel, cpu: Cpu): void {
  if (cleanUpMovedVectors(k, cpu.number)) cpu.apic.sendIpi(cpu.apicId, vectors.IRQ_MOVE_CLEANUP);
}

const vectorCleanupCallback = kernelFunction("vector_cleanup_callback", (k: Kernel): void => {
  cleanUpMovedVectors(k, k.cpu.number);
});
const callTimer = kernelFunction("call_timer_fn", vectorCleanupCallback);
const runTimerSoftirq = kernelFunction("run_timer_softirq", (k: Kernel): void => {
  const due = !k.runs(withCleanupVector) && k.irqs.vectors!.cleanup[k.cpu.number]!.size > 0;
  if (due) callTimer(k);
});
const doSoftirq = kernelFunction("__do_softirq", runTimerSoftirq);
const handleSoftirqs = kernelFunction("handle_softirqs", runTimerSoftirq);

/** On the way out of an interrupt, expired timers run. */
function irqExit(k: Kernel): void {
  if (k.runs({ from: "6.10" })) irqExitRcu(k, handleSoftirqs);
  else oldIrqExit(k, doSoftirq);
}

const runAction = (k: Kernel, action: (k: Kernel) => void): void => action(k);
const irqExitRcuInner = kernelFunction("__irq_exit_rcu", runAction);
const irqExitRcu = kernelFunction("irq_exit_rcu", irqExitRcuInner, { tailCalls: { __irq_exit_rcu: true } });
const oldIrqExit = kernelFunction("irq_exit", runAction);

/** CPUs whose timers have something to do. */
export function timersDue(k: Kernel): readonly Cpu[] {
  return k.cpus.filter(({ number }) => (k.irqs.vectors?.cleanup[number]?.size ?? 0) > 0);
}

/** Time passes: the local APIC timers fire on the CPUs where something is due. @returns on how many. */
export function fireTimers(k: Kernel): number {
  const due = timersDue(k);
  for (const cpu of due) cpu.apic.sendIpi(cpu.apicId, vectors.LOCAL_TIMER);
  return due.length;
}
