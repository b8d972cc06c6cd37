/** Where something was read. */
export interface Origin {
  /** The file, as it is called on the machine (`proc/interrupts`), or `kernel memory`, or `standard input`. */
  readonly source: string;
  /** Where in it: a line, a kernel symbol, an address. */
  readonly place?: string;
}

/** Something known of a host, and where it was read. */
export interface Fact<Value> {
  readonly value: Value;
  readonly origin: Origin;
}

export function fact<Value>(value: Value, origin: Origin): Fact<Value> {
  return { value, origin };
}

/** Something that is not known of a host. */
export interface Missing {
  /** What is not known, as `interrupt remapping table of dmar0`. */
  readonly what: string;
  /** Why: `no debugfs`, `permission denied`, `the dump ends before it`. */
  readonly why: string;
  /** What would bring it, in one clause; null where nothing is known to. */
  readonly needs: string | null;
}
