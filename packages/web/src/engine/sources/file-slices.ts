import { type ByteSource, type Chunks, InputError } from "@intremap/core";

/** Workers alone have it: it waits for what it reads. */
declare const FileReaderSync: new () => { readAsArrayBuffer(part: Blob): ArrayBuffer };

const pieceBytes = 1 << 18;
/** Pieces that are kept, 128 MiB. */
const keptPieces = 512;

/** A file of the user's, read by position as far as it is wanted: it may be larger than memory. */
export class FileSlices implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #file: Blob;
  readonly #reader: InstanceType<typeof FileReaderSync> = new FileReaderSync();
  /** By number, the longest unused first. */
  readonly #pieces = new Map<number, Uint8Array>();

  constructor(file: Blob, name: string) {
    this.name = name;
    this.size = file.size;
    this.#file = file;
  }

  read(position: number | bigint, length: number): Uint8Array {
    const offset = Number(position);
    if (!(offset >= 0 && length >= 0 && offset + length <= this.size)) {
      throw new InputError(
        `${this.name}: offset 0x${position.toString(16)}: expected ${length} bytes, the end is after ${Math.max(0, this.size - offset)}`,
      );
    }
    const within = offset % pieceBytes;
    if (length > pieceBytes) return this.#load(offset, length);
    const first = this.#piece(Math.floor(offset / pieceBytes));
    if (within + length <= pieceBytes) return first.subarray(within, within + length);
    const bytes = new Uint8Array(length);
    bytes.set(first.subarray(within));
    const rest = length - (pieceBytes - within);
    bytes.set(this.#piece(Math.floor(offset / pieceBytes) + 1).subarray(0, rest), length - rest);
    return bytes;
  }

  /** All of it, from the beginning on; nothing of it is kept. */
  async *chunks(): Chunks {
    for (let at = 0; at < this.size; at += pieceBytes) {
      yield this.#load(at, Math.min(pieceBytes, this.size - at));
    }
  }

  close(): void {
    this.#pieces.clear();
  }

  #piece(number: number): Uint8Array {
    let piece = this.#pieces.get(number);
    if (piece === undefined) {
      const at = number * pieceBytes;
      piece = this.#load(at, Math.min(pieceBytes, this.size - at));
      if (this.#pieces.size >= keptPieces) this.#pieces.delete(this.#pieces.keys().next().value!);
    } else this.#pieces.delete(number);
    this.#pieces.set(number, piece);
    return piece;
  }

  /** @throws InputError when the file has gone, changed since it was chosen, or may not be read. */
  #load(at: number, length: number): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(this.#reader.readAsArrayBuffer(this.#file.slice(at, at + length)));
    } catch (error) {
      throw new InputError(`${this.name}: ${reasonOf(error)}`);
    }
    if (bytes.length !== length)
      throw new InputError(`${this.name}: it has become shorter since it was chosen`);
    return bytes;
  }
}

function reasonOf(error: unknown): string {
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  if (name === "NotFoundError") return "no such file any more; choose it again";
  if (name === "NotReadableError")
    return "it cannot be read, or has changed since it was chosen; choose it again";
  return error instanceof Error ? error.message : String(error);
}
