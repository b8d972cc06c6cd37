import * as guest from "../../spec/accessors/amdvi-irte-guest.ts";
import * as irte32 from "../../spec/accessors/amdvi-irte-32.ts";
import * as entry from "../../spec/accessors/amdvi-galog-entry.ts";
import * as tailAddress from "../../spec/accessors/amdvi-galog-tail-address.ts";
import { galogCodes } from "../../spec/amdvi/galog.ts";
import { vapicIrr } from "../../spec/amdvi/irte.ts";
import { type Observer, eventKinds } from "../event.ts";
import { type Memory, chunkNumber, wordInChunk } from "../memory.ts";
import { addressOf } from "./device-table.ts";
import type { RingLog } from "./ring.ts";
import { Mode, Word, chunkByteBits, wordOf } from "./state.ts";

const tailAddressWord = wordOf("GA_LOG_TAIL_ADDR");
const irrWord = vapicIrr.offset / 4;
const irrStride = vapicIrr.stride / 4;

/** Rings the doorbell of a processor: the vAPIC page of a virtual CPU that runs there has a new interrupt. */
export type Doorbell = (apicId: number) => void;

/** Posting through a guest-mode entry (AMD-Vi 3.11 §2.2.5.3): backing page, doorbell, guest virtual APIC log. */
export class GuestPoster {
  readonly #state: Int32Array;
  readonly #memory: Memory;
  readonly #log: RingLog;
  readonly #doorbell: Doorbell;
  readonly #observer: Observer | null;

  constructor(
    state: Int32Array,
    memory: Memory,
    log: RingLog,
    doorbell: Doorbell,
    observer: Observer | null,
  ) {
    this.#state = state;
    this.#memory = memory;
    this.#log = log;
    this.#doorbell = doorbell;
    this.#observer = observer;
  }

  /** Whether the IRR word that a guest-mode entry names can be read and written. */
  accessible(words: Int32Array, at: number): boolean {
    if (!this.#memory.poisoned) return true;
    const chunk = chunkOf(guest.rootLow(words, at), guest.rootHigh(words, at));
    return this.#memory.readable(
      addressOf(chunk, irrOf(guest.rootLow(words, at), guest.vector(words, at))),
      4,
    );
  }

  /**
   * Posts one interrupt.
   * @param live the entry's words in memory, from which IsRun, GALogIntr, Destination and GATag are taken.
   */
  post(
    rootLow: number,
    rootHigh: number,
    vector: number,
    live: Int32Array,
    at: number,
    device: number,
  ): void {
    // amdvi.ga.post: one atomic read-modify-write of the IRR word.
    this.#memory.writableChunk(chunkOf(rootLow, rootHigh))[irrOf(rootLow, vector)]! |= 1 << (vector & 31);
    const running = guest.isrun(live, at);
    let logged = 0;
    if (running) {
      // amdvi.ga.doorbell
      const extended = this.#state[Word.mode]! & Mode.xt;
      this.#doorbell((extended ? guest.dest(live, at) : irte32.dest(live[at]!)) >>> 0);
    } else if (guest.galogintr(live, at)) {
      logged = this.#write(guest.gatag(live, at), device);
    }
    this.#observer?.record(eventKinds.posted, rootLow, rootHigh, vector, running, logged, 0);
  }

  // amdvi.ga.log
  #write(gatag: number, device: number): number {
    const kind = device | (galogCodes.guestNotRunning << entry.CODE_SHIFT);
    if (!this.#log.append(gatag, kind, 0, 0)) return 0;
    const low = tailAddress.addressLow(this.#state, tailAddressWord);
    const high = tailAddress.addressHigh(this.#state, tailAddressWord);
    // amdvi.galog.tail-address
    if (low | high) {
      const address = high * 2 ** 32 + (low >>> 0);
      const chunk = this.#memory.writableChunk(chunkNumber(address));
      chunk[wordInChunk(address)] = this.#log.tail;
      chunk[wordInChunk(address) + 1] = 0;
    }
    return 1;
  }
}

function chunkOf(rootLow: number, rootHigh: number): number {
  return (rootLow >>> chunkByteBits) | (rootHigh << (32 - chunkByteBits));
}

/** The word of a vector's IRR bit in the chunk of its backing page. */
function irrOf(rootLow: number, vector: number): number {
  return ((rootLow & ((1 << chunkByteBits) - 1)) >>> 2) + irrWord + irrStride * (vector >>> 5);
}
