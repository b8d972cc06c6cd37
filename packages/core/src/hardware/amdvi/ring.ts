import * as base from "../../spec/accessors/amdvi-ring-base.ts";
import * as status from "../../spec/accessors/amdvi-status.ts";
import { eventBytes } from "../../spec/amdvi/events.ts";
import { galogBytes } from "../../spec/amdvi/galog.ts";
import type { Memory } from "../memory.ts";
import { wordOf } from "./state.ts";

const statusWord = wordOf("STATUS");

/** Bytes of a ring whose length field is 0; each step doubles it. */
const unitBytes = 16;

/** Physical address of the ring whose base register starts at a word of the state, below 2^52. */
export function ringAddress(state: Int32Array, at: number): number {
  return base.baseHigh(state, at) * 2 ** 32 + (base.baseLow(state, at) >>> 0);
}

/** Bytes of the ring whose base register starts at a word of the state: 16 to 2^19. */
export function ringBytes(state: Int32Array, at: number): number {
  return unitBytes << base.length(state, at);
}

/** Where a log stands in the register file, and its bits in the status register. */
export interface LogPlace {
  readonly base: number;
  readonly head: number;
  readonly tail: number;
  readonly run: number;
  readonly overflow: number;
  readonly interrupt: number;
  /** Words of one entry. */
  readonly words: number;
}

export const eventLogPlace: LogPlace = {
  base: wordOf("EVT_LOG_BASE"),
  head: wordOf("EVT_LOG_HEAD"),
  tail: wordOf("EVT_LOG_TAIL"),
  run: status.EVENTLOGRUN_MASK,
  overflow: status.EVENTOVERFLOW_MASK,
  interrupt: status.EVENTLOGINT_MASK,
  words: eventBytes / 4,
};

export const guestLogPlace: LogPlace = {
  base: wordOf("GA_LOG_BASE"),
  head: wordOf("GA_LOG_HEAD"),
  tail: wordOf("GA_LOG_TAIL"),
  run: status.GALOGRUN_MASK,
  overflow: status.GALOGOVERFLOW_MASK,
  interrupt: status.GALOGINT_MASK,
  words: galogBytes / 4,
};

/** A log that the unit writes and software reads: the event log, or the guest virtual APIC log. */
export class RingLog {
  readonly #state: Int32Array;
  readonly #memory: Memory;
  readonly #place: LogPlace;
  readonly #raise: () => void;
  readonly #dead: boolean;
  #enabled = false;

  /**
   * @param raise sends the log's interrupt, if control lets it.
   * @param dead nothing is ever written.
   */
  constructor(state: Int32Array, memory: Memory, place: LogPlace, raise: () => void, dead = false) {
    this.#dead = dead;
    this.#state = state;
    this.#memory = memory;
    this.#place = place;
    this.#raise = raise;
  }

  // amdvi.event.restart, amdvi.galog.restart: only a change to 1 starts the log, and only without an overflow.
  setEnabled(enabled: boolean): void {
    const { run, overflow } = this.#place;
    if (!enabled) this.#state[statusWord]! &= ~run;
    else if (!this.#enabled && !(this.#state[statusWord]! & overflow)) this.#state[statusWord]! |= run;
    this.#enabled = enabled;
  }

  get running(): boolean {
    return (this.#state[statusWord]! & this.#place.run) !== 0;
  }

  /** The tail, as a byte offset. */
  get tail(): number {
    return this.#state[this.#place.tail]!;
  }

  // amdvi.event.log
  /**
   * Writes one entry; the last two words only where entries have four.
   * @returns whether it was written: the log runs and has room.
   */
  append(word0: number, word1: number, word2: number, word3: number): boolean {
    // qemu.amdvi.event-log-dead
    if (!this.running || this.#dead) return false;
    const state = this.#state;
    const { base, head, tail, run, overflow, interrupt, words } = this.#place;
    const mask = ringBytes(state, base) - 1;
    const at = state[tail]! & mask;
    const next = (at + 4 * words) & mask;
    // amdvi.event.overflow, amdvi.galog.overflow
    if (next === (state[head]! & mask)) {
      state[statusWord]! &= ~run;
      this.#signal(overflow);
      return false;
    }
    const address = ringAddress(state, base) + at;
    this.#memory.write32(address, word0);
    this.#memory.write32(address + 4, word1);
    if (words === eventBytes / 4) {
      this.#memory.write32(address + 8, word2);
      this.#memory.write32(address + 12, word3);
    }
    state[tail] = next;
    this.#signal(interrupt);
    return true;
  }

  // amdvi.event.interrupt-once
  #signal(bit: number): void {
    const before = this.#state[statusWord]!;
    this.#state[statusWord] = before | bit;
    if (!(before & bit)) this.#raise();
  }
}
