import { InputError } from "../input-error.ts";
import { type Chunks, peek } from "./chunks.ts";

/**
 * What expands compressed data on the way; the platform brings the decoders.
 * What they throw is told with the compression's name before it.
 */
export interface Expanders {
  readonly gzip: (chunks: Chunks) => Chunks;
  readonly xz: (chunks: Chunks) => Chunks;
  readonly zstd: (chunks: Chunks) => Chunks;
}

/** What a decoder says where its data ends, and what comes then is neither more of it nor zeros. */
export const foreignEnd = "something else stands behind its end";

type Compression = keyof Expanders | "bzip2";

/** How compressed data begins. */
const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
];

/** Bytes that tell whether something is compressed. */
export const longestMagic = 6;

/** The compression of data that begins so; undefined for none. */
export function compressionOf(head: Uint8Array): Compression | undefined {
  return magics.find(([, magic]) => magic.every((byte, i) => head[i] === byte))?.[0];
}

/**
 * Expands what its first bytes say is compressed, on the way.
 * @throws InputError that names the input when it cannot be read, or its compressed data is damaged or cut off.
 */
export async function* expanded(
  source: Chunks,
  name: string,
  expanders: Expanders,
): AsyncGenerator<Uint8Array> {
  let compression: Compression | undefined;
  try {
    const { head, rest } = await peek(source, longestMagic);
    compression = compressionOf(head);
    if (compression === "bzip2") {
      throw new InputError("bzip2 data: decompress it first, with `bzip2 -dc`");
    }
    yield* compression === undefined ? rest : expanders[compression](rest);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${name}: ${error.message}`);
    throw new InputError(
      compression === undefined
        ? `${name}: ${reasonOf(error)}`
        : `${name}: ${compression} data: ${reasonOf(error)}`,
    );
  }
}

/** A decoder's error codes mean nothing to a reader. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.includes("error code") ? "damaged or cut off" : text;
}
