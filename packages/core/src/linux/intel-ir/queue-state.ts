/** QI_LENGTH: slots of the queue, whatever the width of its descriptors. */
export const queueLength = 256;

/** What the driver writes beside each slot, and the unit over it when a wait descriptor completes. */
export const slotState = { free: 0, inUse: 1, done: 2, abort: 3 } as const;

/** `struct q_inval`: the queue's memory, and how far it is used. */
export class InvalidationQueue {
  /** Physical address of the descriptors. */
  readonly base: number;
  /** `desc_status`: a word for each slot, to which wait descriptors write. */
  readonly status: number;
  /** 128- or 256-bit descriptors, in bytes. */
  readonly step: 16 | 32;
  /** The next slot to fill. */
  freeHead = 0;
  /** The oldest slot that is not free. */
  freeTail = 0;
  freeCount = queueLength;

  constructor(base: number, status: number, step: 16 | 32) {
    this.base = base;
    this.status = status;
    this.step = step;
  }

  addressOf(slot: number): number {
    return this.base + slot * this.step;
  }

  statusOf(slot: number): number {
    return this.status + slot * 4;
  }
}
