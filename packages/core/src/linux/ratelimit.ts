import type { Kernel } from "./kernel.ts";

/** `struct ratelimit_state`: so many messages in so many seconds, and a line that counts those held back. */
export class Ratelimit {
  readonly #function: string;
  readonly #interval: number;
  readonly #burst: number;
  #begin: number | null = null;
  #printed = 0;
  #missed = 0;

  /** @param symbol of the function that prints. */
  constructor(symbol: string, { interval = 5, burst = 10 } = {}) {
    this.#function = symbol;
    this.#interval = interval;
    this.#burst = burst;
  }

  /** `__ratelimit`: whether one more message may be printed now. */
  allows(k: Kernel): boolean {
    this.#begin ??= k.uptime;
    if (k.uptime > this.#begin + this.#interval) {
      if (this.#missed > 0) k.log.warn(`${this.#function}: ${this.#missed} callbacks suppressed`);
      this.#begin = k.uptime;
      this.#printed = 0;
      this.#missed = 0;
    }
    if (this.#printed >= this.#burst) {
      this.#missed++;
      return false;
    }
    this.#printed++;
    return true;
  }
}
