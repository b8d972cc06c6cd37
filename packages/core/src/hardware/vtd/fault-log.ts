import * as record from "../../spec/accessors/vtd-fault-record.ts";
import * as status from "../../spec/accessors/vtd-fault-status.ts";
import { interruptFaultInfo, registers } from "../../spec/vtd/registers.ts";
import type { OwnEvent } from "./own-event.ts";
import { Word } from "./state.ts";

const fsts = registers.FSTS.offset >> 2;

const [, indexLow] = interruptFaultInfo.fields.index.parts[0]!;

/** Where a record holds the interrupt index. */
const indexPlace = { word: indexLow >> 5, shift: indexLow & 31 };

export interface FaultLogOptions {
  /** MMIO offset of the first record, 16 * CAP.FRO. */
  readonly offset: number;
  /** Number of records, CAP.NFR + 1. */
  readonly records: number;
  readonly compresses: boolean;
  /** A waiting event is forgotten only when FSTS is written. */
  readonly keepsPending: boolean;
}

/** Primary fault logging (VT-d 5.10 §7.2.1): the fault recording registers, FSTS and the fault event. */
export class FaultLog {
  readonly #state: Int32Array;
  readonly #event: OwnEvent;
  readonly #base: number;
  readonly #records: number;
  readonly #compresses: boolean;
  readonly #keepsPending: boolean;

  constructor(state: Int32Array, event: OwnEvent, options: FaultLogOptions) {
    this.#state = state;
    this.#event = event;
    this.#base = options.offset >> 2;
    this.#records = options.records;
    this.#compresses = options.compresses;
    this.#keepsPending = options.keepsPending;
  }

  /**
   * Records the fault of an interrupt request.
   * @param index the interrupt index, 0 where it is undefined.
   * @returns whether a record was written.
   */
  record(reason: number, requester: number, index: number): boolean {
    const state = this.#state;
    // vtd.fault.overflow
    if (status.pfo(state[fsts]!)) return false;
    const sid = requester & 0xffff;
    if (this.#compresses && this.#holdsSource(sid)) return false; // vtd.fault.compression
    const at = this.#base + state[Word.faultIndex]! * record.WORDS;
    if (record.f(state, at)) {
      state[fsts]! |= status.PFO_MASK;
      return false;
    }
    // vtd.fault.record
    state.fill(0, at, at + record.WORDS);
    state[at + indexPlace.word] = index << indexPlace.shift;
    state[at + record.SID_WORD] = sid << record.SID_SHIFT;
    state[at + record.FR_WORD] = record.F_MASK | (reason << record.FR_SHIFT);
    const first = !this.pending;
    if (!status.ppf(state[fsts]!)) {
      state[fsts] =
        (state[fsts]! & ~status.FRI_MASK) | status.PPF_MASK | (state[Word.faultIndex]! << status.FRI_SHIFT);
    }
    state[Word.faultIndex] = (state[Word.faultIndex]! + 1) % this.#records;
    if (first) this.#event.raise();
    return true;
  }

  /** The invalidation queue has stopped: IQE is a cause of the fault event as well. */
  queueError(): void {
    const first = !this.pending;
    this.#state[fsts]! |= status.IQE_MASK;
    if (first) this.#event.raise();
  }

  /** Some cause of the fault event has not been served: a further one raises no new event. */
  get pending(): boolean {
    return (this.#state[fsts]! & (status.PFO_MASK | status.PPF_MASK | status.IQE_MASK)) !== 0;
  }

  /** A write to FSTS: PFO, IQE, ICE and ITE are cleared by writing one. */
  writeStatus(value: number): void {
    const cleared = value & (status.PFO_MASK | status.IQE_MASK | status.ICE_MASK | status.ITE_MASK);
    this.#state[fsts]! &= ~cleared;
    if (!this.pending) this.#event.withdraw();
  }

  /** Whether an MMIO word belongs to the records. */
  owns(word: number): boolean {
    return word >= this.#base && word < this.#base + this.#records * record.WORDS;
  }

  /** A write to a word of the records: only F is writable, by writing one. */
  writeRecord(word: number, value: number): void {
    if ((word - this.#base) % record.WORDS !== record.F_WORD || !(value & record.F_MASK)) return;
    this.#state[word]! &= ~record.F_MASK;
    for (let i = 0; i < this.#records; i++) if (record.f(this.#state, this.#base + i * record.WORDS)) return;
    this.#state[fsts]! &= ~status.PPF_MASK;
    // qemu.vtd.event-pending-kept
    if (!this.pending && !this.#keepsPending) this.#event.withdraw();
  }

  /** Translation and remapping are both off: recording starts over at the first record. */
  restart(): void {
    this.#state[Word.faultIndex] = 0;
  }

  #holdsSource(sid: number): boolean {
    for (let i = 0; i < this.#records; i++) {
      const at = this.#base + i * record.WORDS;
      if (record.f(this.#state, at) && record.sid(this.#state, at) === sid) return true;
    }
    return false;
  }
}
