import zlib from "node:zlib";
import { type PageCodecs, expandZstdPage, refusable } from "@intremap/core";
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

/** @throws an Error when it is damaged, does not say its length, or says more than `size`. */
export function zstdInScript(bytes: Uint8Array, size: number): Uint8Array {
  return expandZstdPage(bytes, size, decompress);
}
