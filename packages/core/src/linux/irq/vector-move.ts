import { errno } from "../errno.ts";
import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import { apicDriver } from "./apic-driver.ts";
import type { IrqData } from "./descriptor.ts";
import { type ApicChipData, type VectorState, chipDataOf } from "./vector-state.ts";
import { vectors, withCleanupVector } from "./vectors.ts";

/** Says where the interrupt is to be sent from now on. */
export const apicUpdateIrqCfg = kernelFunction(
  "apic_update_irq_cfg",
  (k: Kernel, data: IrqData, vector: number, cpu: number): void => {
    const { config } = chipDataOf(data);
    config.vector = vector;
    config.cpu = cpu;
    config.destination = apicDriver(k).destinationOf(cpu);
    data.common.effective = [cpu];
  },
);

/** The interrupt takes a vector; the one before stays its own until nothing can arrive there any more. */
const apicUpdateVector = kernelFunction(
  "apic_update_vector",
  (k: Kernel, data: IrqData, vector: number, cpu: number): void => {
    const chip = chipDataOf(data);
    const { matrix, table, excused } = k.irqs.vectors!;
    chip.previousVector = 0;
    if (chip.vector !== 0) {
      if (k.cpus[chip.cpu]!.online) {
        chip.moveInProgress = true;
        chip.previousVector = chip.vector;
        chip.previousCpu = chip.cpu;
      } else {
        matrix.free(chip.cpu, chip.vector);
      }
    }
    chip.vector = vector;
    chip.cpu = cpu;
    table[cpu]![vector] = k.irqs.descriptors.get(data.irq)!;
    excused[cpu]![vector] = 0;
  },
);

/** @returns 0, or a negative errno; 0 without a change while the vector's CPU is one of those. */
export const assignVectorLocked = kernelFunction(
  "assign_vector_locked",
  (k: Kernel, data: IrqData, cpus: readonly number[]): number => {
    const chip = chipDataOf(data);
    if (chip.vector !== 0 && k.cpus[chip.cpu]!.online && cpus.includes(chip.cpu)) return 0;
    // What moved once must be cleaned up before it moves again.
    if (chip.moveInProgress || chip.queued) return -errno.EBUSY;
    const place = k.irqs.vectors!.matrix.allocate(cpus, chip.hasReserved);
    if (typeof place === "number") return place;
    apicUpdateVector(k, data, place.vector, place.cpu);
    apicUpdateIrqCfg(k, data, place.vector, place.cpu);
    return 0;
  },
);

/** Gives back the vector and, of a move that is not over, the one before. */
export const clearIrqVector = kernelFunction("clear_irq_vector", (k: Kernel, data: IrqData): void => {
  const chip = chipDataOf(data);
  const state = k.irqs.vectors!;
  if (chip.vector === 0) return;
  release(state, chip.cpu, chip.vector);
  state.excused[chip.cpu]![chip.vector] = 1;
  chip.vector = 0;
  if (chip.previousVector === 0) return;
  state.excused[chip.previousCpu]![chip.previousVector] = 1;
  forgetPrevious(state, chip);
});

const freeMovedVector = kernelFunction("free_moved_vector", (k: Kernel, chip: ApicChipData): void => {
  forgetPrevious(k.irqs.vectors!, chip);
});

const queueCleanup = (k: Kernel, chip: ApicChipData): void => {
  chip.moveInProgress = false;
  const cpu = k.cpus[chip.previousCpu]!;
  if (!cpu.online) {
    freeMovedVector(k, chip);
    return;
  }
  k.irqs.vectors!.cleanup[cpu.number]!.add(chip);
  chip.queued = true;
  if (k.runs(withCleanupVector)) k.cpu.apic.sendIpi(cpu.apicId, vectors.IRQ_MOVE_CLEANUP);
};

const sendCleanupVectorInner = kernelFunction("__send_cleanup_vector", queueCleanup);
const vectorScheduleCleanupInner = kernelFunction("__vector_schedule_cleanup", queueCleanup);

function cleanUp(k: Kernel, chip: ApicChipData): void {
  if (!chip.moveInProgress) return;
  if (k.runs(withCleanupVector)) sendCleanupVectorInner(k, chip);
  else vectorScheduleCleanupInner(k, chip);
}

const sendCleanupVector = kernelFunction("send_cleanup_vector", cleanUp, {
  tailCalls: { __send_cleanup_vector: true },
});
const scheduleCleanup = kernelFunction("vector_schedule_cleanup", cleanUp, {
  tailCalls: { __vector_schedule_cleanup: true },
});

/**
 * After a move that took effect at once, as remapping makes it: sees to it that the CPU of the old vector frees it.
 * Until 6.5 that CPU is sent an interrupt; since then it has a timer.
 */
export function vectorScheduleCleanup(k: Kernel, data: IrqData): void {
  if (k.runs(withCleanupVector)) sendCleanupVector(k, chipDataOf(data));
  else scheduleCleanup(k, chipDataOf(data));
}

/** An interrupt has arrived: where it is on its new CPU, the move is over. */
export const irqCompleteMove = kernelFunction("irq_complete_move", (k: Kernel, data: IrqData): void => {
  const chip = chipDataOf(data);
  if (chip.moveInProgress && chip.cpu === k.cpu.number) cleanUp(k, chip);
});

/**
 * Frees the old vectors of a CPU, but those whose interrupt still waits for it.
 * @returns whether any are left.
 */
export function cleanUpMovedVectors(k: Kernel, cpu: number): boolean {
  const waiting = k.irqs.vectors!.cleanup[cpu]!;
  for (const chip of waiting) {
    if (!isVectorPending(k, cpu, chip.previousVector)) freeMovedVector(k, chip);
  }
  return waiting.size > 0;
}

/** `is_vector_pending`: in IRR, or with posted MSI in the PIR of the CPU's descriptor. */
function isVectorPending(k: Kernel, cpu: number, vector: number): boolean {
  return k.cpus[cpu]!.apic.requested(vector) || k.postedMsi?.pending(cpu, vector) === true;
}

function forgetPrevious(state: VectorState, chip: ApicChipData): void {
  release(state, chip.previousCpu, chip.previousVector);
  state.cleanup[chip.previousCpu]!.delete(chip);
  chip.previousVector = 0;
  chip.moveInProgress = false;
  chip.queued = false;
}

function release(state: VectorState, cpu: number, vector: number): void {
  state.table[cpu]![vector] = null;
  state.matrix.free(cpu, vector);
}
