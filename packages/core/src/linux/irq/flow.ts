import { kernelFunction } from "../kernel-function.ts";
import type { Kernel } from "../kernel.ts";
import type { FlowHandler, IrqDescriptor } from "./descriptor.ts";

const runHandlers = kernelFunction(
  "__handle_irq_event_percpu",
  (k: Kernel, descriptor: IrqDescriptor): void => {
    const action = descriptor.action!;
    action.handler(k, descriptor.irq, action.cookie);
  },
);

const handleIrqEventPercpu = kernelFunction("handle_irq_event_percpu", runHandlers, {
  inlined: { from: "6.12" },
});

/** Runs what was requested for an interrupt. */
export const handleIrqEvent = kernelFunction(
  "handle_irq_event",
  (k: Kernel, descriptor: IrqDescriptor): void => {
    const { common } = descriptor;
    descriptor.pending = false;
    common.inProgress = true;
    handleIrqEventPercpu(k, descriptor);
    common.inProgress = false;
  },
);

/** Whether it may run now; if not it is remembered, and masked until it may. */
function mayRun(k: Kernel, descriptor: IrqDescriptor): boolean {
  const { common, action } = descriptor;
  if (!common.inProgress && action !== null && common.started) return true;
  descriptor.pending = true;
  maskIrq(k, descriptor);
  return false;
}

function count(k: Kernel, { counts }: IrqDescriptor): void {
  const cpu = k.cpu.number;
  counts[cpu] = (counts[cpu] ?? 0) + 1;
}

function ack(k: Kernel, { data }: IrqDescriptor): void {
  data.chip!.ack?.(k, data);
}

function eoi(k: Kernel, descriptor: IrqDescriptor): void {
  const { data } = descriptor;
  if (data.chip?.eoi === undefined) ack(k, descriptor);
  else data.chip.eoi(k, data);
}

/** Messages and edge-triggered pins: acknowledged before the handler runs, so that the next can be heard meanwhile. */
export const handleEdgeIrq: FlowHandler = kernelFunction(
  "handle_edge_irq",
  (k: Kernel, descriptor: IrqDescriptor): void => {
    if (!mayRun(k, descriptor)) {
      ack(k, descriptor);
      return;
    }
    count(k, descriptor);
    ack(k, descriptor);
    do {
      if (descriptor.pending) unmaskIrq(k, descriptor);
      handleIrqEvent(k, descriptor);
    } while (descriptor.pending && descriptor.action !== null && descriptor.common.started);
  },
);

/** Level-triggered pins: acknowledged when the handler has silenced the device. */
export const handleFasteoiIrq: FlowHandler = kernelFunction(
  "handle_fasteoi_irq",
  (k: Kernel, descriptor: IrqDescriptor): void => {
    if (mayRun(k, descriptor)) {
      count(k, descriptor);
      handleIrqEvent(k, descriptor);
    }
    eoi(k, descriptor);
  },
);

/** `mask_irq` */
export function maskIrq(k: Kernel, { common, data }: IrqDescriptor): void {
  if (common.masked || data.chip?.mask === undefined) return;
  data.chip.mask(k, data);
  common.masked = true;
}

/** `unmask_irq` */
export function unmaskIrq(k: Kernel, { common, data }: IrqDescriptor): void {
  if (!common.masked || data.chip?.unmask === undefined) return;
  data.chip.unmask(k, data);
  common.masked = false;
}
