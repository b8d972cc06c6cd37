import type { CallListener } from "../hardware/call-stack.ts";
import type { Observer } from "../hardware/event.ts";
import type { Machine } from "./machine.ts";

/** Somebody who watches a machine from before its boot to the end of its script. */
export interface Onlooker extends Observer, CallListener {
  /** The machine has been put together and is off. */
  meets(machine: Machine): void;
  /** The boot begins, or the next action of the script: 0 for the boot. */
  begins(episode: number): void;
  /** The script is over. */
  ends(): void;
}
