import zlib from "node:zlib";
import { InputError, type PageCodecs } from "@intremap/core";
import { decompress } from "fzstd";

type ZstdZlib = {
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
};

/** Expands one page of a dump. Node expands zlib's, and zstd's from 22.15 on; before that a decoder in JavaScript does. */
export const pageCodecs: PageCodecs = {
  zlib: (bytes, size) => refusable("zlib", () => zlib.inflateSync(bytes, { maxOutputLength: size })),
  zstd: (bytes, size) => {
    const { zstdDecompressSync } = zlib as unknown as ZstdZlib;
    return refusable("zstd", () =>
      zstdDecompressSync === undefined
        ? zstdInScript(bytes, size)
        : zstdDecompressSync(bytes, { maxOutputLength: size }),
    );
  },
};

/**
 * Where Node has no zstd of its own. The decoder tells neither a frame that comes out too long nor one too short, so the
 * frame has to say its length, as those of whole buffers do.
 * @throws an Error when it is damaged, does not say its length, or says more than `size`.
 */
export function zstdInScript(bytes: Uint8Array, size: number): Uint8Array {
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

function refusable(name: string, expand: () => Uint8Array): Uint8Array {
  try {
    return expand();
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(`${name} data: damaged or cut off`);
  }
}
