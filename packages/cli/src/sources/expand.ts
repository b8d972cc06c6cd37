import { createReadStream } from "node:fs";
import { Readable, pipeline } from "node:stream";
import { ReadableStream } from "node:stream/web";
import zlib from "node:zlib";
import { type Chunks, type Expanders, InputError, expanded as expandedBy, foreignEnd } from "@intremap/core";
import * as xz from "xz-decompress";
import { asBytes, reasonOf } from "../input.ts";
import type { Source } from "../io.ts";
import { expandZstdData } from "./zstd.ts";

/** Bytes that are expanded at once. */
const expandedPiece = 1 << 18;

// A bundler sees what the package exports, Node itself only its default.
const { XzReadableStream } = "XzReadableStream" in xz ? xz : (xz as { default: typeof xz }).default;

/** Node's decoders, and those in JavaScript that it lacks. */
export const expanders: Expanders = {
  gzip: expandGzip,
  xz: expandXz,
  zstd: expandZstdData,
};

/** What to call an input in messages. */
export function nameOf(path: string): string {
  return path === "-" ? "standard input" : path;
}

/** A file's bytes as they stand in it, or standard input's for `-`. */
export async function* chunksOf(path: string, stdin: Source): AsyncGenerator<Uint8Array> {
  try {
    yield* path === "-" ? asBytes(stdin) : createReadStream(path, { highWaterMark: expandedPiece });
  } catch (error) {
    throw new InputError(reasonOf(error));
  }
}

/**
 * Expands what its first bytes say is compressed, on the way.
 * @throws InputError that names the input when it cannot be read, or its compressed data is damaged or cut off.
 */
export function expanded(source: Chunks, name: string): AsyncGenerator<Uint8Array> {
  return expandedBy(source, name, expanders);
}

async function* expandGzip(chunks: Chunks): Chunks {
  try {
    yield* through(chunks, zlib.createGunzip({ chunkSize: expandedPiece }));
  } catch (error) {
    // The first header is one: that is how the data was known.
    throw (error as Error).message === "incorrect header check" ? new Error(foreignEnd) : error;
  }
}

function through(chunks: Chunks, transform: NodeJS.ReadWriteStream): Chunks {
  const output = transform as NodeJS.ReadWriteStream & Chunks;
  // An error destroys the transform, and whoever reads from it gets to see it.
  pipeline(Readable.from(chunks), transform, () => {});
  return output;
}

function expandXz(chunks: Chunks): Chunks {
  const compressed = ReadableStream.from(chunks) as unknown as ConstructorParameters<
    typeof xz.XzReadableStream
  >[0];
  return new XzReadableStream(compressed);
}
