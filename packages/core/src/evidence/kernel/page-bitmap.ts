import type { ByteSource } from "../byte-source.ts";
import type { MemoryRange } from "./physical-memory.ts";

/** Bytes between two counts that are kept; also what is read at once when a page is looked up. */
const blockBytes = 4096;
const blockPages = blockBytes * 8;
/** Blocks that are read at once when all are counted. */
const stride = 256;
const keptBlocks = 64;
/** Ranges that are told apart; a host has some dozens. */
const rangeLimit = 1 << 16;

/** A bit for each page of memory, in a file; bit 0 of the first byte stands for page 0. */
export class PageBitmap {
  readonly pages: number;
  readonly #source: ByteSource;
  readonly #offset: number;
  readonly #blocks = new Map<number, Uint8Array>();
  /** Set bits before each block. */
  #ranks: Float64Array | undefined;

  /** @param offset of the bitmap in the source, which holds all of it. */
  constructor(source: ByteSource, offset: number, pages: number) {
    this.#source = source;
    this.#offset = offset;
    this.pages = pages;
  }

  has(page: number): boolean {
    if (page >= this.pages) return false;
    const bit = page % blockPages;
    return ((this.#block(Math.floor(page / blockPages))[bit >> 3]! >> (bit & 7)) & 1) === 1;
  }

  /** How many pages before this one are set. */
  rank(page: number): number {
    this.#ranks ??= this.#countAll();
    const index = Math.floor(page / blockPages);
    const block = this.#block(index);
    const bit = page % blockPages;
    const whole = bit >> 3;
    return (
      this.#ranks[index]! +
      countBits(block.subarray(0, whole)) +
      bitsOf(block[whole]! & ((1 << (bit & 7)) - 1))
    );
  }

  /**
   * Addresses whose pages are set, in ascending order; past a limit, one last range spans the rest.
   * @param most at so many set pages it ends, or up to 32,768 pages behind the last of them.
   */
  ranges(pageBytes: number, most = Infinity): MemoryRange[] {
    const ranges: MemoryRange[] = [];
    const end = this.#endOf(most);
    let start = -1;
    const close = (page: number): void => {
      if (start >= 0)
        ranges.push({ start: BigInt(start) * BigInt(pageBytes), end: BigInt(page) * BigInt(pageBytes) });
      start = -1;
    };
    for (let page = 0; page < end;) {
      const bit = page % blockPages;
      const byte = this.#block(Math.floor(page / blockPages))[bit >> 3]!;
      const same = byte === (start >= 0 ? 0xff : 0);
      if (same && (bit & 7) === 0) {
        page += 8;
        continue;
      }
      const set = ((byte >> (bit & 7)) & 1) === 1;
      if (set && start < 0) {
        start = page;
        if (ranges.length === rangeLimit - 1) break;
      } else if (!set) close(page);
      page++;
    }
    close(end);
    return ranges;
  }

  /** The first page of the block before which so many pages are set; else the end. */
  #endOf(set: number): number {
    this.#ranks ??= this.#countAll();
    const block = this.#ranks.findIndex((before) => before >= set);
    return block < 0 ? this.pages : Math.min(block * blockPages, this.pages);
  }

  #block(index: number): Uint8Array {
    let block = this.#blocks.get(index);
    if (block === undefined) {
      const bytes = Math.ceil(this.pages / 8) - index * blockBytes;
      block = this.#source.read(this.#offset + index * blockBytes, Math.min(bytes, blockBytes));
      if (this.#blocks.size === keptBlocks) this.#blocks.clear();
      this.#blocks.set(index, block);
    }
    return block;
  }

  #countAll(): Float64Array {
    const bytes = Math.ceil(this.pages / 8);
    const ranks = new Float64Array(Math.ceil(bytes / blockBytes) + 1);
    let sum = 0;
    let index = 0;
    for (let at = 0; at < bytes; at += stride * blockBytes) {
      const read = this.#source.read(this.#offset + at, Math.min(bytes - at, stride * blockBytes));
      for (let from = 0; from < read.length; from += blockBytes) {
        ranks[index++] = sum;
        sum += countBits(read.subarray(from, from + blockBytes));
      }
    }
    ranks[index] = sum;
    return ranks;
  }
}

function countBits(bytes: Uint8Array): number {
  let count = 0;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    count += bitsOf(bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
  }
  for (; at < bytes.length; at++) count += bitsOf(bytes[at]!);
  return count;
}

/** Set bits of 32. */
function bitsOf(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const quads = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((quads + (quads >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
