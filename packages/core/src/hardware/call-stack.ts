/** Releases of a program, as `major.minor`: `from` the first, `below` the first no more. */
export interface Releases {
  readonly from?: string;
  readonly below?: string;
}

/** What a compiler made of a function, so that an unwinder sees other frames than the source has. */
export interface Compiled {
  /** Its callers contain it: it has no frame. */
  readonly inlined?: true | Releases;
  /** It ends in a jump to these functions, which take its frame over. */
  readonly tailCalls?: Readonly<Record<string, true | Releases>>;
  /** A part was split off under the same name: two frames for one call. */
  readonly split?: true | Releases;
}

export type Space = "kernel" | "user";

/** A function under the name that its binary has for it. */
export interface FunctionSymbol extends Compiled {
  readonly name: string;
  readonly space: Space;
  /** A processor calls it, for a vector that it takes. */
  readonly idtEntry?: true;
}

/** One thread of execution: the calls that it is in, outermost first, in its program and in the kernel. */
export class Thread {
  readonly name: string;
  /** Its program has no symbols: one unnamed frame stands for all of it. */
  readonly stripped: boolean;
  readonly kernel: FunctionSymbol[] = [];
  readonly user: FunctionSymbol[] = [];

  constructor(name: string, options: { readonly stripped?: boolean } = {}) {
    this.name = name;
    this.stripped = options.stripped ?? false;
  }
}

/** Told of calls as they are made; the calls' own stack is {@link Calls.frames}. */
export interface CallListener {
  entered(symbol: FunctionSymbol, thread: Thread): void;
  left(symbol: FunctionSymbol, thread: Thread): void;
}

/** The frame of code that has no symbol. */
export const unknownFrame = "[unknown]";

/** All calls of one machine. While nobody listens, nothing is kept. */
export class Calls {
  /** Which release of each program runs, by which functions' frames show or do not. */
  readonly releases: Readonly<Record<Space, string>>;
  listener: CallListener | null = null;
  #current: Thread;

  constructor(releases: Readonly<Record<Space, string>>, boot = new Thread("swapper/0")) {
    this.releases = releases;
    this.#current = boot;
  }

  get current(): Thread {
    return this.#current;
  }

  /** Lets a thread do something; the one that was running goes on afterwards. */
  run<R>(thread: Thread, action: () => R): R {
    const before = this.#current;
    this.#current = thread;
    try {
      return action();
    } finally {
      this.#current = before;
    }
  }

  enter(symbol: FunctionSymbol): Thread {
    const thread = this.#current;
    thread[symbol.space].push(symbol);
    this.listener?.entered(symbol, thread);
    return thread;
  }

  leave(symbol: FunctionSymbol, thread: Thread): void {
    this.listener?.left(symbol, thread);
    thread[symbol.space].pop();
  }

  /** The frames of the current thread that an unwinder finds, innermost first. */
  frames(space: Space): string[] {
    const stack = this.#current[space];
    if (space === "user" && this.#current.stripped) return [unknownFrame];
    const release = this.releases[space];
    const frames: string[] = [];
    let callee: string | undefined;
    for (let i = stack.length - 1; i >= 0; i--) {
      const { name, inlined, tailCalls, split } = stack[i]!;
      if (holds(inlined, release)) continue;
      const replaced = callee !== undefined && holds(tailCalls?.[callee], release);
      callee = name;
      if (replaced) continue;
      frames.push(name);
      if (holds(split, release)) frames.push(name);
    }
    return frames;
  }
}

/** Whoever makes calls: a kernel, a virtual machine monitor. */
export interface Caller {
  readonly calls: Calls;
}

/** What a function under a symbol may take besides its caller. */
export type Arguments = [unknown?, unknown?, unknown?, unknown?, unknown?, unknown?, unknown?];

type Passed<C, R> = (caller: C, ...args: Arguments) => R;

/**
 * Gives a function its symbol: its calls are seen in {@link Calls.frames} while somebody listens. Arguments are passed
 * one by one: rest parameters would cost every call an array.
 */
export function underSymbol<C extends Caller, A extends Arguments, R>(
  symbol: FunctionSymbol,
  body: (caller: C, ...args: A) => R,
): (caller: C, ...args: A) => R {
  const inside = body as unknown as Passed<C, R>;
  const called: Passed<C, R> = (caller, a, b, c, d, e, f, g) => {
    const { calls } = caller;
    if (calls.listener === null) return inside(caller, a, b, c, d, e, f, g);
    const thread = calls.enter(symbol);
    try {
      return inside(caller, a, b, c, d, e, f, g);
    } finally {
      calls.leave(symbol, thread);
    }
  };
  return called;
}

/** Whether a release is one of those. */
export function within(release: string, { from, below }: Releases): boolean {
  return (
    (from === undefined || compareReleases(release, from) >= 0) &&
    (below === undefined || compareReleases(release, below) < 0)
  );
}

function holds(releases: true | Releases | undefined, release: string): boolean {
  return releases === true || (releases !== undefined && within(release, releases));
}

function compareReleases(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split(".").map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split(".").map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}
