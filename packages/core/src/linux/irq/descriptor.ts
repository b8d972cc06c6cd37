import type { Kernel } from "../kernel.ts";
import type { IrqChip } from "./chip.ts";
import type { IrqDomain } from "./domain.ts";

/** `struct irq_data`: one level of an interrupt. The top level is the one nearest to the device. */
export class IrqData {
  readonly irq: number;
  readonly domain: IrqDomain;
  readonly parent: IrqData | null;
  readonly common: IrqCommon;
  hwirq = 0;
  chip: IrqChip | null = null;
  /** What the level's driver keeps for the interrupt. */
  chipData: unknown = null;

  constructor(domain: IrqDomain, parent: IrqData | null, common: IrqCommon) {
    this.irq = common.irq;
    this.domain = domain;
    this.parent = parent;
    this.common = common;
  }
}

/** `struct irq_common_data`: what all levels of an interrupt share. */
export class IrqCommon {
  readonly irq: number;
  /** Linux CPU numbers that the interrupt may go to. */
  affinity: readonly number[] = [];
  /** Somebody has asked for that affinity: it is kept when the interrupt starts. */
  affinitySet = false;
  /** The CPUs that it goes to. */
  effective: readonly number[] = [];
  activated = false;
  started = false;
  masked = false;
  managed = false;
  canReserve = false;
  /** `IRQD_AFFINITY_ON_ACTIVATE` and friends are not modelled; what moves, moves at once. */
  inProgress = false;
  /** CPUs that it is to move to with its next arrival, a move before not being over; null for none. */
  pendingMove: readonly number[] | null = null;

  constructor(irq: number) {
    this.irq = irq;
  }
}

/** What a handler makes of an interrupt. */
export type IrqHandler = (k: Kernel, irq: number, cookie: unknown) => "handled" | "none";

export interface IrqAction {
  readonly name: string;
  readonly handler: IrqHandler;
  readonly cookie: unknown;
}

/** What runs the actions of an interrupt and acknowledges it: `handle_edge_irq` and its kin. */
export type FlowHandler = (k: Kernel, descriptor: IrqDescriptor) => void;

/** `struct irq_desc`. */
export class IrqDescriptor {
  readonly irq: number;
  readonly common: IrqCommon;
  /** The top level, on which the device's driver calls. */
  data: IrqData;
  flow: FlowHandler;
  action: IrqAction | null = null;
  /** Interrupts taken, by Linux CPU number. */
  readonly counts: number[] = [];
  pending = false;

  constructor(data: IrqData, flow: FlowHandler) {
    this.irq = data.irq;
    this.common = data.common;
    this.data = data;
    this.flow = flow;
  }
}
