import zlib from "node:zlib";
import { Readable, pipeline } from "node:stream";
import { InputError } from "@intremap/core";
import { Decompress } from "fzstd";

type Chunks = AsyncIterable<Uint8Array>;
type Transform = NodeJS.ReadWriteStream & Chunks;
type ZstdZlib = { readonly createZstdDecompress?: () => Transform };

/** The largest window that is granted a file: the same that `zstd -d` grants without being asked. */
const windowLimit = 2 ** 27;
/** Frames that lie in one piece are read one inside the other, so a piece is kept small. */
const pieceBytes = 4096;
/** The most that a frame's header takes as far as its window's size is concerned. */
const headerBytes = 14;
const damaged = "zstd data: damaged or cut off";

/** Expands zstd data on the way: by Node where it can (22.15 and newer), else by a decoder in JavaScript. */
export function expandZstd(chunks: Chunks): Chunks {
  const { createZstdDecompress } = zlib as unknown as ZstdZlib;
  return createZstdDecompress === undefined
    ? expandInScript(chunks)
    : expandByNode(chunks, createZstdDecompress());
}

/** @throws InputError when the data is damaged or cut off, or wants a larger window than there is. */
export async function* expandInScript(chunks: Chunks): Chunks {
  const ready: Uint8Array[] = [];
  const decoder = new Decompress((block) => void ready.push(block.slice()));
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
    const bytes = begun ? chunk : joined(head, chunk);
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

async function* expandByNode(chunks: Chunks, transform: Transform): Chunks {
  // An error destroys the transform, and whoever reads from it gets to see it.
  pipeline(Readable.from(chunks), transform, () => {});
  yield* transform;
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

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}
