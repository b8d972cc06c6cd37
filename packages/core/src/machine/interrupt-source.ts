/**
 * One vector of one device, accounted: each interrupt that it raises is delivered, merged into one that is, refused, or
 * lost.
 */
export class InterruptSource {
  readonly device: string;
  readonly vector: number;
  raised = 0;
  /** Handler runs of whoever owns the device. */
  delivered = 0;
  /** Raised while one before was not yet taken: the architecture merges them. */
  coalesced = 0;
  /** Refused by the remapping unit. */
  blocked = 0;
  /** Raised and accepted since the handler last ran. */
  #outstanding = 0;

  constructor(device: string, vector: number) {
    this.device = device;
    this.vector = vector;
  }

  /** Raised, and not refused. A handler may run before this returns control to the device. */
  raise(): void {
    this.raised++;
    this.#outstanding++;
  }

  refuse(): void {
    this.#outstanding--;
    this.blocked++;
  }

  handle(): void {
    this.delivered++;
    if (this.#outstanding > 1) this.coalesced += this.#outstanding - 1;
    this.#outstanding = 0;
  }

  /** Raised, and no handler ran since. */
  get lost(): number {
    return this.#outstanding;
  }
}
