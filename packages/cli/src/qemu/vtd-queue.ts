import { vtdSpec } from "@intremap/core";
import type { Moves } from "./moves.ts";
import { driverMemory, isDriverless } from "./places.ts";
import type { Touched } from "./touched.ts";

const { registers, descriptorTypes } = vtdSpec;
const iqa = registers.IQA.offset;
const iqt = registers.IQT.offset;
const pageBytes = 4096;
const descriptorBytes = 16;
/** Writes of more words than this hold tables, no descriptors. */
const mostWords = 4096;

/** Bits of the first dword of an invalidation of entries, and of a wait. */
const invalidateBits = 0xf800_0014;
const waitBits = 0x75;
const indexBits = 0xffff;
const waitStatus = 0x20;
const waitInterrupt = 0x10;
const doubleWait = descriptorTypes.wait | waitStatus | waitInterrupt;

/** The descriptor that ends a script's use of its queue: a status write to where nobody looks. */
export function finalWait(): Buffer {
  const bytes = Buffer.alloc(descriptorBytes);
  bytes.writeUInt32LE(descriptorTypes.wait | waitStatus, 0);
  bytes.writeUInt32LE(driverMemory.sink, 8);
  return bytes;
}

export type Queue = Pick<VtdQueue, "stored" | "wrote" | "enable" | "fatal" | "used" | "drain">;

/**
 * What QEMU's invalidation queue is left with by a script. QEMU lets a queue be turned off only where its head meets its
 * tail and the last descriptor was a wait.
 */
export class VtdQueue {
  readonly #touched: Touched;
  readonly #words = new Map<number, number>();
  #address = 0n;
  #tail = 0;
  /** Where the queue lies since it was turned on; undefined if it never was. */
  #place: { readonly base: number; readonly bytes: number } | undefined;
  #done = 0;
  /** Something has been queued that may have stopped the queue. */
  #odd = false;
  /** A wait with both a status write and an interrupt has been queued: QEMU ends there. */
  fatal = false;

  constructor(touched: Touched) {
    this.#touched = touched;
  }

  get used(): boolean {
    return this.#place !== undefined;
  }

  /** Looks for waits, whose status writes change memory. */
  stored(address: number, words: readonly number[]): void {
    if (words.length > mostWords) return;
    for (let i = 0; i < words.length; i++) this.#words.set(address + 4 * i, words[i]! | 0);
    const last = address + 4 * words.length;
    for (let group = address - (address % descriptorBytes); group < last; group += descriptorBytes) {
      const low = this.#words.get(group) ?? 0;
      if ((low & (waitStatus | 0xf)) !== (waitStatus | descriptorTypes.wait)) continue;
      const status = (this.#word(group + 8) & ~3) >>> 0;
      if (this.#word(group + 12) === 0 && isDriverless(status, 4)) this.#touched.add(status, 4);
    }
  }

  wrote(offset: number, width: 32 | 64, value: bigint): void {
    if (offset === iqt) return this.#moveTail(Number(value & 0xffff_ffffn));
    if (width === 64) this.#address = value;
    else if (offset === iqa) this.#address = (this.#address & ~0xffff_ffffn) | value;
    else this.#address = (this.#address & 0xffff_ffffn) | (value << 32n);
  }

  enable(): void {
    if (this.#place !== undefined) return;
    const base = Number(this.#address & ~0xfffn);
    this.#place = { base, bytes: pageBytes * 2 ** Number(this.#address & 7n) };
    this.#done = 0;
    this.#moveTail(this.#tail);
  }

  #moveTail(tail: number): void {
    this.#tail = tail;
    if (this.#place === undefined) return;
    const { base, bytes } = this.#place;
    if (tail % descriptorBytes !== 0 || tail >= bytes) {
      this.#odd = true;
      return;
    }
    for (; this.#done !== tail; this.#done = (this.#done + descriptorBytes) % bytes) {
      const at = base + this.#done;
      if (!this.#isPlain(at)) this.#odd = true;
      if ((this.#word(at) & (waitStatus | waitInterrupt | 0xf)) === doubleWait) this.fatal = true;
    }
  }

  /** A descriptor that no unit stops at. */
  #isPlain(at: number): boolean {
    const low = this.#word(at);
    const type = low & 0xf;
    if (type === descriptorTypes.interruptEntryCache) {
      const rest = this.#word(at + 8) | this.#word(at + 12) | (this.#word(at + 4) & ~indexBits);
      return (low & ~invalidateBits) === 0 && rest === 0;
    }
    if (type !== descriptorTypes.wait || (low & ~waitBits) !== 0) return false;
    if ((low & (waitStatus | waitInterrupt)) === 0) return false;
    return (
      (this.#word(at + 8) & 3) === 0 && this.#word(at + 12) === 0 && isDriverless(this.#word(at + 8) >>> 0, 4)
    );
  }

  #word(address: number): number {
    return this.#words.get(address) ?? 0;
  }

  /** Lets the queue run empty over a wait, wherever its head stands. */
  drain(moves: Moves, setTail: (tail: number) => void): void {
    const { base, bytes } = this.#place!;
    if (!this.#odd) {
      moves.copy(descriptorBytes, driverMemory.waits, base + this.#tail);
      this.#touched.add(base + this.#tail, descriptorBytes);
      setTail((this.#tail + descriptorBytes) % bytes);
      return;
    }
    for (let page = 0; page < bytes; page += pageBytes)
      moves.copy(pageBytes, driverMemory.waits, base + page);
    this.#touched.add(base, bytes);
    setTail(bytes - descriptorBytes);
    setTail(0);
  }
}
