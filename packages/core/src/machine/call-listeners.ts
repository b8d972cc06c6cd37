import type { CallListener, FunctionSymbol, Thread } from "../hardware/call-stack.ts";

/** Several listeners as one. */
export class CallListeners implements CallListener {
  readonly #listeners: readonly CallListener[];

  constructor(listeners: readonly CallListener[]) {
    this.#listeners = listeners;
  }

  entered(symbol: FunctionSymbol, thread: Thread): void {
    for (const listener of this.#listeners) listener.entered(symbol, thread);
  }

  /** The last that was told of the call is the first told of its end. */
  left(symbol: FunctionSymbol, thread: Thread): void {
    for (let i = this.#listeners.length - 1; i >= 0; i--) this.#listeners[i]!.left(symbol, thread);
  }
}
