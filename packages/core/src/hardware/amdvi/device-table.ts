import * as dte from "../../spec/accessors/amdvi-dte.ts";
import { toWords } from "../../spec/codec.ts";
import { dteBytes, qemuReserved, qemuReservedWide } from "../../spec/amdvi/dte.ts";
import { faultReasons } from "../../spec/amdvi/faults.ts";
import type { Memory } from "../memory.ts";
import { Mode, Word, chunkByteBits, chunkWordBits, deviceBase, deviceWords } from "./state.ts";

const reserved = toWords(qemuReserved, 256);
const reservedWide = toWords(qemuReservedWide, 256);

/** The device table (AMD-Vi 3.11 §2.2.2.1), with the entries that the unit keeps. */
export class DeviceTable {
  readonly #state: Int32Array;
  readonly #memory: Memory;

  constructor(state: Int32Array, memory: Memory) {
    this.#state = state;
    this.#memory = memory;
  }

  /**
   * Looks up a device's entry.
   * @returns where its eight words stand in the state, or the negative number of the reason that forbids it.
   */
  find(device: number): number {
    const state = this.#state;
    const mode = state[Word.mode]!;
    // amdvi.cache.device-table
    if (mode & Mode.cacheDevices) {
      const kept = deviceBase + device * deviceWords;
      if (this.#matters(kept)) return kept;
    }
    // amdvi.dte.out-of-range, qemu.amdvi.device-table-unbounded
    if (device >= state[Word.devices]! && !(mode & Mode.deviceTableUnbounded)) {
      return -faultReasons.deviceOutOfRange.number;
    }
    const at = state[Word.tableWord]! + device * deviceWords;
    const number = (state[Word.tableChunk]! + (at >>> chunkWordBits)) | 0;
    const word = at & ((1 << chunkWordBits) - 1);
    // amdvi.dte.access
    if (this.#memory.poisoned && !this.#memory.readable(addressOf(number, word), dteBytes)) {
      return -faultReasons.deviceTableAccess.number;
    }
    const chunk = this.#memory.chunk(number);
    copyEntry(state, Word.scratch, chunk, word);
    if (mode & Mode.cacheDevices && this.#matters(Word.scratch)) {
      state.copyWithin(deviceBase + device * deviceWords, Word.scratch, Word.scratch + deviceWords);
    }
    return Word.scratch;
  }

  // qemu.amdvi.dte-reserved, qemu.amdvi.dte-reserved-wide
  /** Whether bits are set in an entry that QEMU takes for reserved. */
  offends(at: number, mode: number): boolean {
    const state = this.#state;
    const masks = mode & Mode.deviceReservedWide ? reservedWide : reserved;
    const low =
      (state[at]! & masks[0]!) |
      (state[at + 1]! & masks[1]!) |
      (state[at + 2]! & masks[2]!) |
      (state[at + 3]! & masks[3]!);
    const high =
      (state[at + 4]! & masks[4]!) |
      (state[at + 5]! & masks[5]!) |
      (state[at + 6]! & masks[6]!) |
      (state[at + 7]! & masks[7]!);
    return (low | high) !== 0;
  }

  /** The words of a device's entry as the unit keeps it; undefined where it keeps none. */
  kept(device: number): Int32Array | undefined {
    const at = deviceBase + device * deviceWords;
    if (!(this.#state[Word.mode]! & Mode.cacheDevices) || !this.#matters(at)) return undefined;
    return this.#state.slice(at, at + deviceWords);
  }

  invalidate(device: number): void {
    const kept = deviceBase + device * deviceWords;
    this.#state.fill(0, kept, kept + deviceWords);
  }

  invalidateAll(): void {
    this.#state.fill(0, deviceBase);
  }

  /** An entry with both V and IV at 0 says nothing and is not kept, so that an empty place needs no mark of its own. */
  #matters(at: number): number {
    return dte.v(this.#state, at) | dte.iv(this.#state, at);
  }
}

/** Copies eight words; written out, because engines do not unroll so short a loop and every request pays for it. */
function copyEntry(target: Int32Array, to: number, source: Int32Array, from: number): void {
  target[to] = source[from]!;
  target[to + 1] = source[from + 1]!;
  target[to + 2] = source[from + 2]!;
  target[to + 3] = source[from + 3]!;
  target[to + 4] = source[from + 4]!;
  target[to + 5] = source[from + 5]!;
  target[to + 6] = source[from + 6]!;
  target[to + 7] = source[from + 7]!;
}

/** The physical address of a word of a chunk, below 2^52. */
export function addressOf(chunk: number, word: number): number {
  return (chunk >>> 0) * 2 ** chunkByteBits + word * 4;
}
