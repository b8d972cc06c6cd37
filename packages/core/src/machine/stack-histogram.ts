import type { CallListener, Calls, FunctionSymbol } from "../hardware/call-stack.ts";

/** One call stack, and how often it was seen. */
export interface StackCount {
  /** Innermost first. */
  readonly frames: readonly string[];
  readonly count: number;
}

export interface StackHistogramOptions {
  /** Appends the program's frames to the kernel's, as bcc's stackcount does. */
  readonly user?: boolean;
}

/** Counts the stacks with which chosen functions are entered, as a probe on their symbols does. */
export class StackHistogram implements CallListener {
  readonly #calls: Calls;
  readonly #symbols: ReadonlySet<string>;
  readonly #user: boolean;
  readonly #stacks = new Map<string, { readonly frames: readonly string[]; count: number }>();

  constructor(calls: Calls, symbols: Iterable<string>, options: StackHistogramOptions = {}) {
    this.#calls = calls;
    this.#symbols = new Set(symbols);
    this.#user = options.user ?? false;
  }

  entered({ name, space }: FunctionSymbol): void {
    if (!this.#symbols.has(name)) return;
    const frames = this.#calls.frames(space);
    // A function that its callers contain, or whose name was stripped, has no place for a probe.
    if (frames[0] !== name) return;
    if (this.#user && space === "kernel") frames.push(...this.#calls.frames("user"));
    const key = frames.join("\n");
    const stack = this.#stacks.get(key);
    if (stack === undefined) this.#stacks.set(key, { frames, count: 1 });
    else stack.count++;
  }

  left(): void {}

  /** The commonest first; of equals the one that was seen first. */
  counts(): StackCount[] {
    return [...this.#stacks.values()]
      .map(({ frames, count }) => ({ frames, count }))
      .sort((left, right) => right.count - left.count);
  }

  /** As bpftrace prints `@[kstack] = count()`. */
  print(): string {
    return this.counts().map(printStack).join("\n");
  }
}

export function printStack({ frames, count }: StackCount): string {
  return `@[\n${frames.map((frame) => `    ${frame}\n`).join("")}]: ${count}\n`;
}
