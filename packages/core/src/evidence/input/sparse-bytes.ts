import type { ByteSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";

const pieceBytes = 1 << 16;
const zeros = new Uint8Array(pieceBytes);

/** What may be held in memory, zeros apart, and how long the whole may be, zeros and all. */
export interface SparseLimits {
  readonly kept: number;
  readonly length: number;
}

const defaults: SparseLimits = { kept: 4 * 2 ** 30, length: 128 * 2 ** 30 };

/** Bytes in memory that are mostly zeros: only pieces that hold anything else take room. */
export class SparseBytes implements ByteSource {
  readonly name: string;
  size: number = 0;
  /** Bytes that take room. */
  kept: number = 0;
  readonly #limits: SparseLimits;
  readonly #pieces: Uint8Array[] = [];
  /** The last piece, while it is filled. */
  #open: Uint8Array = new Uint8Array(pieceBytes);

  constructor(name: string, limits: SparseLimits = defaults) {
    this.name = name;
    this.#limits = limits;
  }

  /** @throws InputError when the limits are passed. */
  append(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const filled = this.size % pieceBytes;
      const count = Math.min(chunk.length - at, pieceBytes - filled);
      this.#open.set(chunk.subarray(at, at + count), filled);
      at += count;
      this.size += count;
      if (filled + count === pieceBytes) this.#close();
    }
  }

  /** Adds pieces that were expanded on the way to the last of them. */
  static async from(
    chunks: AsyncIterable<Uint8Array>,
    name: string,
    progress: (bytes: SparseBytes) => void,
    limits: SparseLimits = defaults,
  ): Promise<SparseBytes> {
    const bytes = new SparseBytes(name, limits);
    for await (const chunk of chunks) {
      bytes.append(chunk);
      progress(bytes);
    }
    return bytes;
  }

  read(position: number | bigint, length: number): Uint8Array {
    const offset = Number(position);
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new InputError(
        `${this.name}: offset 0x${position.toString(16)}: expected ${length} bytes, the end is at ${this.size}`,
      );
    }
    const within = offset % pieceBytes;
    const first = this.#piece(Math.floor(offset / pieceBytes));
    if (within + length <= pieceBytes) return first.subarray(within, within + length);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const from = (offset + at) % pieceBytes;
      const count = Math.min(length - at, pieceBytes - from);
      const piece = this.#piece(Math.floor((offset + at) / pieceBytes));
      if (piece !== zeros) bytes.set(piece.subarray(from, from + count), at);
      at += count;
    }
    return bytes;
  }

  #piece(index: number): Uint8Array {
    return this.#pieces[index] ?? this.#open;
  }

  #close(): void {
    if (isZero(this.#open)) {
      this.#pieces.push(zeros);
    } else {
      this.#pieces.push(this.#open);
      this.#open = new Uint8Array(pieceBytes);
      this.kept += pieceBytes;
    }
    const { kept, length } = this.#limits;
    if (this.kept > kept || this.size > length) {
      const what = this.kept > kept ? `${printSize(kept)} that are not zeros` : `${printSize(length)} in all`;
      throw new InputError(
        `${this.name}: more than ${what} when expanded, which is the most that is kept in memory; expand it into a file first`,
      );
    }
  }
}

/** Whether a piece, which begins at its buffer's start, is all zeros: 32 bits at a time, as a dump has gigabytes of them. */
function isZero(piece: Uint8Array): boolean {
  const words = new Int32Array(piece.buffer);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

function printSize(bytes: number): string {
  return bytes >= 2 ** 30 ? `${bytes / 2 ** 30} GiB` : `${bytes / 2 ** 10} KiB`;
}
