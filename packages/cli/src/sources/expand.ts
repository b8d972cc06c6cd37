import { createReadStream } from "node:fs";
import { Readable, pipeline } from "node:stream";
import { ReadableStream } from "node:stream/web";
import zlib from "node:zlib";
import { InputError } from "@intremap/core";
import * as xz from "xz-decompress";
import { reasonOf } from "../input.ts";
import type { Source } from "../io.ts";
import { expandZstd } from "./zstd.ts";

/** Bytes in pieces, as they come. */
export type Chunks = AsyncIterable<Uint8Array>;

/** How a compressed file begins, and how it is read. */
interface Compression {
  readonly name: string;
  readonly magic: readonly number[];
  readonly expand: (chunks: Chunks) => Chunks;
}

/** Bytes that are expanded at once. */
const expandedPiece = 1 << 18;

const compressions: readonly Compression[] = [
  {
    name: "gzip",
    magic: [0x1f, 0x8b],
    expand: (chunks) => through(chunks, zlib.createGunzip({ chunkSize: expandedPiece })),
  },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], expand: expandXz },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], expand: expandZstd },
  {
    name: "bzip2",
    magic: [0x42, 0x5a, 0x68],
    expand: refuse("bzip2", "decompress it first, with `bzip2 -dc`"),
  },
];

// A bundler sees what the package exports, Node itself only its default.
const { XzReadableStream } = "XzReadableStream" in xz ? xz : (xz as { default: typeof xz }).default;

/** Bytes that tell whether something is compressed. */
export const longestMagic = 6;
const damagedXz = "xz data: damaged or cut off";

/** What to call an input in messages. */
export function nameOf(path: string): string {
  return path === "-" ? "standard input" : path;
}

/** A file's bytes as they stand in it, or standard input's for `-`. */
export function chunksOf(path: string, stdin: Source): Chunks {
  return path === "-" ? asBytes(stdin) : createReadStream(path, { highWaterMark: expandedPiece });
}

/** The compression of data that begins so; undefined for none. */
export function compressionOf(head: Uint8Array): string | undefined {
  return find(head)?.name;
}

/**
 * Expands what its first bytes say is compressed, on the way.
 * @throws InputError that names the input when it cannot be read, or its compressed data is damaged or cut off.
 */
export async function* expanded(source: Chunks, name: string): Chunks {
  let compression: Compression | undefined;
  try {
    const { head, rest } = await peek(source, longestMagic);
    compression = find(head);
    yield* compression === undefined ? rest : compression.expand(rest);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${name}: ${error.message}`);
    const reason = reasonOf(error);
    throw new InputError(
      compression === undefined ? `${name}: ${reason}` : `${name}: ${compression.name} data: ${reason}`,
    );
  }
}

/** The first bytes, at least `length` of them if there are so many, and everything with them. */
export async function peek(source: Chunks, length: number): Promise<{ head: Uint8Array; rest: Chunks }> {
  const iterator = source[Symbol.asyncIterator]();
  const pieces: Uint8Array[] = [];
  for (let kept = 0; kept < length;) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    pieces.push(value);
    kept += value.length;
  }
  const head = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  return { head, rest: prepend(head, iterator) };
}

function find(head: Uint8Array): Compression | undefined {
  return compressions.find(({ magic }) => magic.every((byte, i) => head[i] === byte));
}

async function* asBytes(source: Source): Chunks {
  for await (const chunk of source) yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
}

/** No generator: one that was not begun does not let go of what it would have read. */
function prepend(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): Chunks {
  let first: Uint8Array | undefined = head;
  const all: AsyncIterator<Uint8Array> = {
    next: () => {
      if (first === undefined) return iterator.next();
      const value = first;
      first = undefined;
      return Promise.resolve({ done: false, value });
    },
    return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
  };
  return { [Symbol.asyncIterator]: () => all };
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
  return explained(new XzReadableStream(compressed));
}

/** The decoder's error codes mean nothing to a reader. */
async function* explained(output: Chunks): Chunks {
  try {
    yield* output;
  } catch (error) {
    throw error instanceof Error && error.message.includes("error code") ? new InputError(damagedXz) : error;
  }
}

function refuse(name: string, advice: string): () => Chunks {
  return () => {
    throw new InputError(`${name} data: ${advice}`);
  };
}
