import type { StackCount } from "./stack-histogram.ts";

/** One thing that happened, as the narrative tells it. */
export interface Episode {
  /** Modelled nanoseconds since the machine was turned on. */
  readonly at: number;
  readonly what: string;
  /** What it led to, a line each. */
  readonly details: readonly string[];
}

/** Faults of one kind. */
export interface FaultCount {
  /** VT-d: the reason, as `26h`. AMD-Vi: the event's name. */
  readonly fault: string;
  readonly rule: string;
  readonly section: string;
  readonly count: number;
}

/** What a scenario's run came to. */
export interface RunResult {
  readonly scenario: string;
  readonly title: string;
  readonly kernel: string;
  readonly profile: string;
  /** CPUs, command line and parameters, on one line. */
  readonly settings: string;
  /** Interrupts that devices raised through their capabilities. */
  readonly raised: number;
  /** Handler runs for them. */
  readonly delivered: number;
  /** Merged with one that was not yet taken, as the architecture has it. */
  readonly coalesced: number;
  /** Requests that the remapping unit refused, raised or written by hand. */
  readonly blocked: number;
  /** Raised, accepted, and never handled. */
  readonly lost: number;
  /** Interrupts that a device brought to a CPU past what its entries permit. */
  readonly hijacked: number;
  readonly vmExits: number;
  readonly vmExitsByReason: Readonly<Record<string, number>>;
  /** Posted-interrupt notifications and doorbells. */
  readonly notifications: number;
  /** Device interrupts that a handler of the host took. */
  readonly hostInterrupts: number;
  /** Wake-ups of halted vCPUs by posting. */
  readonly wakeups: number;
  /** IPIs that a handler in a guest took. */
  readonly ipis: number;
  readonly faults: readonly FaultCount[];
  /** Present entries at the end of the script. */
  readonly remapped: number;
  readonly posted: number;
  readonly remapping: boolean;
  readonly posting: boolean;
  readonly x2apic: boolean;
  /** What the guest read from its disk was the file's; null where it read nothing. */
  readonly dataEqual: boolean | null;
  /** Modelled cycles of the host's CPUs. */
  readonly cycles: number;
  readonly costs: readonly CostShare[];
  readonly stacks: readonly StackCount[];
  readonly episodes: readonly Episode[];
  /** The kernel's log. */
  readonly log: readonly string[];
  /** Expectations that were not met. */
  readonly unmet: readonly string[];
  /** What was left allocated when everything had been taken apart. */
  readonly leaks: readonly string[];
  /** All that is wrong: what was not met or leaked, and losses and refusals that nobody expected. */
  readonly findings: readonly string[];
}

/** What one kind of work cost, as modelled. */
export interface CostShare {
  readonly name: string;
  /** Who is busy meanwhile: the host's software, a guest, or hardware. */
  readonly owner: "host" | "guest" | "hardware";
  readonly times: number;
  readonly cycles: number;
  /** Where the figure comes from. */
  readonly source: string;
}
