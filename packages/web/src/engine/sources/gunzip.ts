import { type Chunks, InputError, foreignEnd } from "@intremap/core";
import { type FlateError, FlateErrorCode, Gunzip } from "fflate";

/** A piece of zeros comes out a thousand times as long. */
const pieceBytes = 1 << 15;
const trailerBytes = 8;
/** Of nothing: a header, a block, a trailer. */
const shortestMember = 20;

/**
 * Expands gzip data, of one member or more, on the way; what begins with a zero behind them is padding, and not read.
 * The decoder leaves each member's trailer to whoever wants it.
 * @throws InputError when it is damaged or cut off, or something else is behind it.
 */
export async function* gunzip(chunks: Chunks): Chunks {
  const ready: Uint8Array[] = [];
  const sums = new Trailers();
  let begun = false;
  const decoder = new Gunzip((block) => {
    begun = true;
    if (block.length === 0) return;
    sums.expanded(block);
    ready.push(block);
  });
  decoder.onmember = (offset) => sums.endOfMember(offset);
  /** Whether more may come. */
  const push = (piece: Uint8Array, last: boolean): boolean => {
    sums.read(piece);
    try {
      decoder.push(piece, last);
    } catch (error) {
      if (error instanceof InputError) throw error;
      if (!begun || (error as FlateError).code !== FlateErrorCode.InvalidHeader) throw damaged();
      sums.endOfData();
      return false;
    }
    if (last) sums.endOfData();
    return !last;
  };
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += pieceBytes) {
      const more = push(chunk.subarray(at, at + pieceBytes), false);
      yield* ready.splice(0);
      if (!more) return;
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
  /** Where the member begins. */
  #start = 0;
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
  endOfMember(at: number): void {
    if (!this.#endsAt(at)) throw damaged();
    this.#crc = -1;
    this.#length = 0;
    this.#start = at;
  }

  /** No member begins behind the last one: the decoder does not say where that is. */
  endOfData(): void {
    let at = Math.max(this.#start + shortestMember, this.#tailStart + trailerBytes);
    while (at <= this.#end && !this.#endsAt(at)) at++;
    if (at > this.#end) throw damaged();
    const [first, second] = this.#tail.subarray(at - this.#tailStart);
    if (first === undefined || first === 0) return;
    const cutOff = second === undefined || (first === 0x1f && second === 0x8b);
    throw cutOff ? damaged() : new Error(foreignEnd);
  }

  get #tailStart(): number {
    return this.#end - this.#tail.length;
  }

  #endsAt(at: number): boolean {
    const start = at - trailerBytes - this.#tailStart;
    if (start < 0) return false;
    const view = new DataView(this.#tail.buffer, this.#tail.byteOffset + start, trailerBytes);
    return view.getUint32(0, true) === ~this.#crc >>> 0 && view.getUint32(4, true) === this.#length;
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
