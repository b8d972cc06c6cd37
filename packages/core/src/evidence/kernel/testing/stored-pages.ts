import { readFileSync } from "node:fs";
import zlib from "node:zlib";
import { InputError } from "../../input-error.ts";
import type { PageCodecs } from "../kdump-core.ts";

/** How makedumpfile 1.7.9 stored pages of a kernel's memory, each in the four ways that it knows. */
type StoredWays = Readonly<Record<"zlib" | "lzo" | "snappy" | "zstd", string>>;

const fixture = new URL("../../fixtures/makedumpfile-pages.json", import.meta.url);

/** The same pages in each way, and as they are. */
export const storedPages: readonly (Readonly<Record<keyof StoredWays, Uint8Array>> & {
  readonly plain: Uint8Array;
})[] = (JSON.parse(readFileSync(fixture, "utf8")) as StoredWays[]).map((ways) => {
  const bytes = (way: keyof StoredWays): Uint8Array => new Uint8Array(Buffer.from(ways[way], "base64"));
  return {
    zlib: bytes("zlib"),
    lzo: bytes("lzo"),
    snappy: bytes("snappy"),
    zstd: bytes("zstd"),
    plain: new Uint8Array(zlib.inflateSync(bytes("zlib"))),
  };
});

/** What a platform hands in; zstd's pages are those above and no others. */
export const testCodecs: PageCodecs = {
  zlib: (bytes, size) => zlib.inflateSync(bytes, { maxOutputLength: size }),
  zstd: (bytes) => {
    const page = storedPages.find(({ zstd }) => Buffer.compare(zstd, bytes) === 0);
    if (page === undefined) throw new InputError("zstd data: damaged");
    return page.plain;
  },
};
