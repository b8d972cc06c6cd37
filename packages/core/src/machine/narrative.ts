import { ActionError } from "./action-error.ts";
import type { Told } from "./actions/scene.ts";
import { Logs } from "./logs.ts";
import type { Machine } from "./machine.ts";
import type { Episode } from "./result.ts";
import { type Totals, difference } from "./totals.ts";

/** How each count is told, of one and of many. */
const phrases: readonly [keyof Totals, string, string][] = [
  ["raised", "raised", "raised"],
  ["delivered", "delivered", "delivered"],
  ["coalesced", "merged", "merged"],
  ["lost", "waiting", "waiting"],
  ["blocked", "blocked", "blocked"],
  ["hijacked", "past its entry", "past their entries"],
  ["notifications", "notification", "notifications"],
  ["hostInterrupts", "host interrupt", "host interrupts"],
  ["vmExits", "VM exit", "VM exits"],
  ["wakeups", "wake-up", "wake-ups"],
  ["ipis", "IPI taken", "IPIs taken"],
];

function phraseOf(totals: Totals): string[] {
  const parts = phrases
    .filter(([name]) => totals[name] > 0)
    .map(([name, one, many]) => {
      const value = totals[name];
      return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
    });
  return parts.length === 0 ? [] : [parts.join(", ")];
}

/** What happens on a machine, as it is told: each episode with what it led to. */
export class Narrative {
  readonly episodes: Episode[] = [];
  /** What the software refused. */
  readonly failures: string[] = [];
  /** The host kernel's log. */
  readonly log: string[] = [];
  readonly #machine: Machine;
  readonly #logs = new Logs();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Lets something happen, and what follows from it; a refusal is told and kept. */
  async tell(what: string, act: () => Promise<Told>): Promise<void> {
    const machine = this.#machine;
    const at = machine.clock.now;
    const before = machine.totals();
    const told = await act().catch((error: unknown) => this.#refused(what, error));
    machine.rest();
    const counted = phraseOf(difference(machine.totals(), before));
    const details = [...told.details, ...counted, ...this.#logs.guests(machine)];
    this.log.push(...this.#logs.host(machine));
    this.episodes.push({ at, what: told.what, details });
  }

  #refused(what: string, error: unknown): Told {
    if (!(error instanceof ActionError)) throw error;
    this.failures.push(`${what}: ${error.message}`);
    return { what: `${what} fails`, details: [error.message] };
  }
}
