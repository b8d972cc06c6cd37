import type { ByteSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import type { ElfSegment } from "./elf-core.ts";
import { UnreadableMemory } from "./memory.ts";
import type { MemoryRange } from "./physical-memory.ts";

/** Addresses whose bytes are in the file from `offset` on, or are zeros. */
interface Piece {
  readonly start: bigint;
  readonly end: bigint;
  readonly offset: bigint | null;
}

/**
 * The segments of a core by one kind of address, apart from each other. Where two overlap, as the kernel's text and the
 * memory around it do in kdump's cores, one is kept; bytes of the file go before zeros.
 */
export class SegmentMap {
  readonly #source: ByteSource;
  readonly #pieces: readonly Piece[];

  constructor(
    source: ByteSource,
    segments: readonly ElfSegment[],
    addressOf: (segment: ElfSegment) => bigint,
  ) {
    this.#source = source;
    const pieces: Piece[] = [];
    const zeros: Piece[] = [];
    for (const segment of segments) {
      const start = addressOf(segment);
      const filled = clamp(start + segment.fileSize);
      const end = clamp(start + segment.memorySize);
      if (segment.fileSize > 0n) pieces.push({ start, end: filled, offset: segment.offset });
      if (end > filled) zeros.push({ start: filled, end, offset: null });
    }
    const data = apart(pieces);
    this.#pieces = zeros.length === 0 ? data : [...data, ...gapsOf(data, apart(zeros))].sort(byStart);
  }

  /** What has bytes in the file, in ascending order, and no more in all than the file has; neighbours are one. */
  get ranges(): readonly MemoryRange[] {
    const size = BigInt(this.#source.size);
    const ranges: { start: bigint; end: bigint }[] = [];
    let left = size;
    for (const { start, end, offset } of this.#pieces) {
      if (offset === null || offset >= size) continue;
      const length = least(end - start, size - offset, left);
      if (length === 0n) break;
      left -= length;
      const last = ranges.at(-1);
      if (last?.end === start) last.end += length;
      else ranges.push({ start, end: start + length });
    }
    return ranges;
  }

  /** @throws UnreadableMemory when a part of it is in no segment or not in the file. */
  read(address: bigint, length: number): Uint8Array {
    const piece = this.#find(address);
    if (piece !== undefined && address + BigInt(length) <= piece.end)
      return this.#part(piece, address, length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = address + BigInt(done);
      const piece = this.#find(at);
      if (piece === undefined) {
        throw new UnreadableMemory(this.#source.name, at, length - done, "in no segment of the core");
      }
      const left = piece.end - at;
      const part = left < BigInt(length - done) ? Number(left) : length - done;
      bytes.set(this.#part(piece, at, part), done);
      done += part;
    }
    return bytes;
  }

  #part(piece: Piece, address: bigint, length: number): Uint8Array {
    if (piece.offset === null) return new Uint8Array(length);
    try {
      return this.#source.read(piece.offset + (address - piece.start), length);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new UnreadableMemory(
        this.#source.name,
        address,
        length,
        "the core ends before it, or cannot be read there",
      );
    }
  }

  #find(address: bigint): Piece | undefined {
    const pieces = this.#pieces;
    let low = 0;
    let high = pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pieces[middle]!.end <= address) low = middle + 1;
      else high = middle;
    }
    const piece = pieces[low];
    return piece !== undefined && piece.start <= address ? piece : undefined;
  }
}

const top = 1n << 64n;

function clamp(address: bigint): bigint {
  return address < top ? address : top;
}

function least(...values: readonly bigint[]): bigint {
  return values.reduce((a, b) => (a < b ? a : b));
}

function byStart(a: Piece, b: Piece): number {
  return a.start < b.start ? -1 : a.start > b.start ? 1 : 0;
}

/** Pieces in ascending order, each without what lies in one before it. */
function apart(pieces: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  let end = 0n;
  for (const piece of [...pieces].sort(byStart)) {
    if (piece.end <= end) continue;
    result.push(piece.start < end ? from(piece, end) : piece);
    end = piece.end;
  }
  return result;
}

/** Zeros where none of `taken` lies; both are in ascending order and apart. */
function gapsOf(taken: readonly Piece[], zeros: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  let next = 0;
  for (const { start, end } of zeros) {
    let at = start;
    while (next < taken.length && taken[next]!.end <= at) next++;
    for (let i = next; at < end; i++) {
      const other = taken[i];
      if (other === undefined || other.start >= end) {
        result.push({ start: at, end, offset: null });
        break;
      }
      if (at < other.start) result.push({ start: at, end: other.start, offset: null });
      at = other.end;
    }
  }
  return result;
}

function from(piece: Piece, start: bigint): Piece {
  return { ...piece, start, offset: piece.offset === null ? null : piece.offset + (start - piece.start) };
}
