import { type Chunks, InputError } from "@intremap/core";
import { Gunzip } from "fflate";

/** A piece of zeros comes out a thousand times as long. */
const pieceBytes = 1 << 15;
const trailerBytes = 8;

/**
 * Expands gzip data, of one member or more, on the way. The decoder leaves each member's trailer to whoever wants it.
 * @throws InputError when it is damaged or cut off.
 */
export async function* gunzip(chunks: Chunks): Chunks {
  const ready: Uint8Array[] = [];
  const sums = new Trailers();
  const decoder = new Gunzip((block) => {
    if (block.length === 0) return;
    sums.expanded(block);
    ready.push(block);
  });
  decoder.onmember = (offset) => sums.endOfMember(offset);
  const push = (piece: Uint8Array, last: boolean): void => {
    try {
      sums.read(piece);
      decoder.push(piece, last);
      if (last) sums.endOfMember();
    } catch (error) {
      throw error instanceof InputError ? error : damaged();
    }
  };
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      push(chunk.subarray(at, at + pieceBytes), false);
      yield* ready.splice(0);
    }
  }
  push(new Uint8Array(), true);
  yield* ready.splice(0);
}

function damaged(): InputError {
  return new InputError("gzip data: damaged or cut off");
}

/** Holds what came out of a member against its trailer: CRC-32, and length modulo 2^32, 32 bits each (RFC 1952 section 2.3.1). */
class Trailers {
  #crc = -1;
  #length = 0;
  /** The last bytes that were read, two pieces at least, and where they end. */
  #tail: Uint8Array = new Uint8Array();
  #end = 0;

  read(piece: Uint8Array): void {
    const kept = this.#tail.subarray(-pieceBytes);
    const tail = new Uint8Array(kept.length + piece.length);
    tail.set(kept);
    tail.set(piece, kept.length);
    this.#tail = tail;
    this.#end += piece.length;
  }

  expanded(block: Uint8Array): void {
    this.#crc = crc32(block, this.#crc);
    this.#length = (this.#length + block.length) >>> 0;
  }

  /** @param at where the member behind it begins. */
  endOfMember(at: number = this.#end): void {
    const start = at - trailerBytes - (this.#end - this.#tail.length);
    if (start < 0) throw damaged();
    const view = new DataView(this.#tail.buffer, this.#tail.byteOffset + start, trailerBytes);
    if (view.getUint32(0, true) !== ~this.#crc >>> 0 || view.getUint32(4, true) !== this.#length)
      throw damaged();
    this.#crc = -1;
    this.#length = 0;
  }
}

const remainders = Int32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

function crc32(bytes: Uint8Array, crc: number): number {
  let rest = crc;
  for (let i = 0; i < bytes.length; i++) rest = remainders[(rest ^ bytes[i]!) & 0xff]! ^ (rest >>> 8);
  return rest;
}
