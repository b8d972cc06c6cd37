import type { Sink } from "./io.ts";

const firstAfter = 1000;
const every = 250;

/** One line on a terminal that says how far a long input has been read; nothing anywhere else. */
export class Progress {
  readonly #sink: Sink;
  readonly #now: () => number;
  #next: number;
  #shown = false;

  constructor(sink: Sink, now: () => number = Date.now) {
    this.#sink = sink;
    this.#now = now;
    this.#next = now() + firstAfter;
  }

  show(text: () => string): void {
    if (this.#sink.isTTY !== true || this.#now() < this.#next) return;
    this.#next = this.#now() + every;
    this.#shown = true;
    this.#sink.write(`\r\u001b[K${text()}`);
  }

  clear(): void {
    if (this.#shown) this.#sink.write("\r\u001b[K");
    this.#shown = false;
  }
}
