import type { InterruptFabric } from "../hardware/delivery.ts";

/** The interrupt fabric, with a count of what its APICs accepted. */
export class WatchedFabric implements InterruptFabric {
  /** Acceptances: one for each APIC that took an interrupt. */
  accepted = 0;
  readonly #fabric: InterruptFabric;

  constructor(fabric: InterruptFabric) {
    this.#fabric = fabric;
  }

  deliver(
    destination: number,
    logical: number,
    redirectionHint: number,
    deliveryMode: number,
    vector: number,
    level: number,
  ): number {
    return this.#count(
      this.#fabric.deliver(destination, logical, redirectionHint, deliveryMode, vector, level),
    );
  }

  fixed(destination: number, vector: number): number {
    return this.#count(this.#fabric.fixed(destination, vector));
  }

  message(addressLow: number, addressHigh: number, data: number): number {
    return this.#count(this.#fabric.message(addressLow, addressHigh, data));
  }

  #count(accepted: number): number {
    this.accepted += accepted;
    return accepted;
  }
}
