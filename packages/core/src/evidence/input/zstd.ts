import { InputError } from "../input-error.ts";
import { type Chunks, joined } from "./chunks.ts";

/** A decoder that takes pieces and hands on what comes out of them. */
export type ZstdDecoder = new (take: (block: Uint8Array, last?: boolean) => void) => {
  push(piece: Uint8Array, last?: boolean): unknown;
};

/** The largest window that is granted a file: the same that `zstd -d` grants without being asked. */
const windowLimit = 2 ** 27;
/** Frames that lie in one piece are read one inside the other, so a piece is kept small. */
const pieceBytes = 4096;
/** The most that a frame's header takes as far as its window's size is concerned. */
const headerBytes = 14;
const damaged = "zstd data: damaged or cut off";

/**
 * Expands zstd data on the way by a decoder in JavaScript.
 * @throws InputError when the data is damaged or cut off, or wants a larger window than there is.
 */
export async function* expandZstd(chunks: Chunks, Decoder: ZstdDecoder): AsyncGenerator<Uint8Array> {
  const ready: Uint8Array[] = [];
  const decoder = new Decoder((block) => void ready.push(block.slice()));
  const push = (piece: Uint8Array, last: boolean): void => {
    try {
      decoder.push(piece, last);
    } catch {
      // Its errors say which part of the decoder gave up, which means nothing to a reader.
      throw new InputError(damaged);
    }
  };
  let head: Uint8Array = new Uint8Array();
  let begun = false;
  for await (const chunk of chunks) {
    const bytes = begun ? chunk : joined([head, chunk]);
    if (!begun && bytes.length < headerBytes) {
      head = bytes;
      continue;
    }
    if (!begun) checkWindow(bytes);
    begun = true;
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      push(bytes.subarray(at, at + pieceBytes), false);
      yield* ready.splice(0);
    }
  }
  push(begun ? new Uint8Array() : head, true);
  yield* ready.splice(0);
}

/**
 * Expands one page of a dump. The decoder tells neither a frame that comes out too long nor one too short, so the
 * frame has to say its length, as those of whole buffers do.
 * @throws an Error when it is damaged, does not say its length, or says more than `size`.
 */
export function expandZstdPage(
  bytes: Uint8Array,
  size: number,
  decompress: (bytes: Uint8Array, into: Uint8Array) => Uint8Array,
): Uint8Array {
  const flags = bytes[4] ?? 0;
  const oneSegment = (flags & 0x20) !== 0;
  const at = 5 + (oneSegment ? 0 : 1) + [0, 1, 2, 4][flags & 3]!;
  const width = [oneSegment ? 1 : 0, 2, 4, 8][flags >> 6]!;
  let length = width === 2 ? 256 : 0;
  for (let i = width - 1, unit = 256 ** i; i >= 0; i--, unit /= 256) length += (bytes[at + i] ?? 0) * unit;
  if (width === 0 || length > size)
    throw new InputError("zstd data: expected a frame that says a page's length");
  return decompress(bytes, new Uint8Array(length));
}

/**
 * Holds the window of the first frame against the limit.
 * The header: magic (4), flags, then a window byte unless the frame is one segment, the dictionary's id, the content's size.
 */
function checkWindow(bytes: Uint8Array): void {
  const flags = bytes[4]!;
  const oneSegment = (flags & 0x20) !== 0;
  let window: number;
  if (oneSegment) {
    const at = 5 + [0, 1, 2, 4][flags & 3]!;
    const size = [1, 2, 4, 8][flags >> 6]!;
    window = 0;
    for (let i = size - 1; i >= 0; i--) window = window * 256 + bytes[at + i]!;
  } else {
    const exponent = bytes[5]! >> 3;
    window = 2 ** (10 + exponent) * (1 + (bytes[5]! & 7) / 8);
  }
  if (window > windowLimit) {
    throw new InputError(
      `zstd data: a window of ${Math.ceil(window / 2 ** 20)} MiB, which is more than the ${windowLimit / 2 ** 20} MiB ` +
        "that are kept; pipe `zstd -dc --long=31` in",
    );
  }
}
