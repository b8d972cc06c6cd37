import { InputError } from "../input-error.ts";

/** How many things of one kind a walk still believes in: lists of lists are bounded as a whole by it. */
export class Allowance {
  readonly #what: string;
  readonly #limit: number;
  #taken = 0;

  constructor(what: string, limit: number) {
    this.#what = what;
    this.#limit = limit;
  }

  /** @throws InputError when there are too many. */
  take(): void {
    if (this.#taken === this.#limit) throw new InputError(`expected at most ${this.#limit} ${this.#what}`);
    this.#taken++;
  }
}
