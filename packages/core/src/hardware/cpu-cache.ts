import type { Memory } from "./memory.ts";

const lineBytes = 64;
const lineWords = 16;

/**
 * The CPU's write-back cache before memory, for machines whose remapping unit does not snoop it (ECAP.C=0). A line
 * that the CPU has written stays here, unseen by such a unit, until it is flushed: the worst that a driver which
 * forgets its clflush can meet.
 */
export class CpuCache {
  readonly #memory: Memory;
  readonly #lines = new Map<number, Int32Array>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The CPU reads a word at a 4-byte aligned address. */
  read32(address: number): number {
    const line = this.#lines.get(lineOf(address));
    return line === undefined ? this.#memory.read32(address) : line[wordOf(address)]!;
  }

  /** The CPU writes a word at a 4-byte aligned address; memory does not change yet. */
  write32(address: number, value: number): void {
    let line = this.#lines.get(lineOf(address));
    if (line === undefined) {
      line = new Int32Array(lineWords);
      this.#memory.readWords(lineOf(address), line);
      this.#lines.set(lineOf(address), line);
    }
    line[wordOf(address)] = value;
  }

  /** clflush of every line that the range touches; also what a snooping access of a device does first. */
  flush(address: number, length: number): void {
    if (this.#lines.size === 0) return;
    for (let line = lineOf(address); line < address + length; line += lineBytes) {
      const dirty = this.#lines.get(line);
      if (dirty === undefined) continue;
      this.#memory.writeWords(line, dirty);
      this.#lines.delete(line);
    }
  }
}

function lineOf(address: number): number {
  return address - (address % lineBytes);
}

function wordOf(address: number): number {
  return (address % lineBytes) >>> 2;
}
