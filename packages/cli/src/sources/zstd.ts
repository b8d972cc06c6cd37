import zlib from "node:zlib";
import { Readable, pipeline } from "node:stream";
import { type Chunks, expandZstd } from "@intremap/core";
import { Decompress } from "fzstd";

type Transform = NodeJS.ReadWriteStream & Chunks;
type ZstdZlib = { readonly createZstdDecompress?: () => Transform };

/** Expands zstd data on the way: by Node where it can (22.15 and newer), else by a decoder in JavaScript. */
export function expandZstdData(chunks: Chunks): Chunks {
  const { createZstdDecompress } = zlib as unknown as ZstdZlib;
  return createZstdDecompress === undefined
    ? expandInScript(chunks)
    : expandByNode(chunks, createZstdDecompress());
}

/** @throws InputError when the data is damaged or cut off, or wants a larger window than there is. */
export function expandInScript(chunks: Chunks): Chunks {
  return expandZstd(chunks, Decompress);
}

async function* expandByNode(chunks: Chunks, transform: Transform): Chunks {
  // An error destroys the transform, and whoever reads from it gets to see it.
  pipeline(Readable.from(chunks), transform, () => {});
  yield* transform;
}
