import type { EventKind, Observer } from "../hardware/event.ts";

/** Several observers as one. */
export class Observers implements Observer {
  readonly #observers: readonly Observer[];

  constructor(observers: readonly Observer[]) {
    this.#observers = observers;
  }

  record(kind: EventKind, a: number, b: number, c: number, d: number, e: number, f: number): void {
    for (const observer of this.#observers) observer.record(kind, a, b, c, d, e, f);
  }
}
