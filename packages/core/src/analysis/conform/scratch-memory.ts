import { Memory, chunkNumber, wordInChunk } from "../../hardware/memory.ts";

/** Writes of which account is kept one by one; what is written to beyond that is made zero as a whole. */
const mostNoted = 4096;

/** Memory that can be made zero again at the price of what was written. Its chunks stay where they are. */
export class ScratchMemory extends Memory {
  /** The chunk and the word of each write. */
  readonly #chunks: Int32Array[] = [];
  readonly #words = new Int32Array(mostNoted);
  #noted = 0;
  /** Chunks that were handed out to be written to, or written to past all account. */
  readonly #handedOut = new Set<Int32Array>();

  override write32(address: number, value: number): void {
    const chunk = super.writableChunk(chunkNumber(address));
    const word = wordInChunk(address);
    chunk[word] = value;
    if (this.#noted < mostNoted) {
      this.#chunks[this.#noted] = chunk;
      this.#words[this.#noted++] = word;
    } else this.#handedOut.add(chunk);
  }

  override writableChunk(number: number): Int32Array {
    const chunk = super.writableChunk(number);
    this.#handedOut.add(chunk);
    return chunk;
  }

  /** Makes everything zero. */
  forget(): void {
    for (let i = 0; i < this.#noted; i++) this.#chunks[i]![this.#words[i]!] = 0;
    this.#noted = 0;
    if (this.#handedOut.size === 0) return;
    for (const chunk of this.#handedOut) chunk.fill(0);
    this.#handedOut.clear();
  }
}
