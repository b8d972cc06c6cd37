import { createReadStream } from "node:fs";
import { Readable, pipeline } from "node:stream";
import { ReadableStream } from "node:stream/web";
import zlib from "node:zlib";
import { InputError } from "@intremap/core";
import * as xz from "xz-decompress";
import { reasonOf } from "../input.ts";
import type { Source } from "../io.ts";
import { expandZstd } from "./zstd.ts";

type Chunks = AsyncIterable<Uint8Array>;

/** How a compressed file begins, and how it is read. */
interface Compression {
  readonly name: string;
  readonly magic: readonly number[];
  readonly expand: (chunks: Chunks) => Chunks;
}

const compressions: readonly Compression[] = [
  { name: "gzip", magic: [0x1f, 0x8b], expand: (chunks) => through(chunks, zlib.createGunzip()) },
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

const longestMagic = 6;
const damagedXz = "xz data: damaged or cut off";

/**
 * The bytes of a trace, in chunks as they come: a file, or standard input for `-`; gzip, xz and zstd are told by
 * their first bytes and expanded on the way.
 * @throws InputError when it cannot be read or its compressed data is damaged or cut off.
 */
export async function* traceChunks(path: string, stdin: Source): Chunks {
  const name = path === "-" ? "standard input" : path;
  const source = path === "-" ? asBytes(stdin) : createReadStream(path);
  let compression: Compression | undefined;
  try {
    const { head, rest } = await peek(source);
    compression = compressions.find(({ magic }) => magic.every((byte, i) => head[i] === byte));
    yield* compression === undefined ? rest : compression.expand(rest);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${name}: ${error.message}`);
    const reason = reasonOf(error);
    throw new InputError(
      compression === undefined ? `${name}: ${reason}` : `${name}: ${compression.name} data: ${reason}`,
    );
  }
}

async function* asBytes(source: Source): Chunks {
  for await (const chunk of source) yield typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
}

/** The first bytes, and everything with them. */
async function peek(source: Chunks): Promise<{ head: Uint8Array; rest: Chunks }> {
  const iterator = source[Symbol.asyncIterator]();
  let head = new Uint8Array();
  while (head.length < longestMagic) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    const longer = new Uint8Array(head.length + value.length);
    longer.set(head);
    longer.set(value, head.length);
    head = longer;
  }
  return { head, rest: prepend(head, iterator) };
}

async function* prepend(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): Chunks {
  try {
    yield head;
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) return;
      yield value;
    }
  } finally {
    await iterator.return?.();
  }
}

function through(chunks: Chunks, transform: NodeJS.ReadWriteStream): Chunks {
  const expanded = transform as NodeJS.ReadWriteStream & Chunks;
  // An error destroys the transform, and whoever reads from it gets to see it.
  pipeline(Readable.from(chunks), transform, () => {});
  return expanded;
}

function expandXz(chunks: Chunks): Chunks {
  const compressed = ReadableStream.from(chunks) as unknown as ConstructorParameters<
    typeof xz.XzReadableStream
  >[0];
  return explained(new XzReadableStream(compressed));
}

/** The decoder's error codes mean nothing to a reader. */
async function* explained(expanded: Chunks): Chunks {
  try {
    yield* expanded;
  } catch (error) {
    throw error instanceof Error && error.message.includes("error code") ? new InputError(damagedXz) : error;
  }
}

function refuse(name: string, advice: string): () => Chunks {
  return () => {
    throw new InputError(`${name} data: ${advice}`);
  };
}
