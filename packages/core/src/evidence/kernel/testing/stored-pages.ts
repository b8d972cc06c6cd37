import { InputError } from "../../input-error.ts";
import type { Inflate, PageCodecs } from "../kdump-core.ts";

const ways = ["zlib", "lzo", "snappy", "zstd"] as const;

/** A page of a kernel's memory as makedumpfile 1.7.9 stored it in each of its ways, and as it is. */
export type StoredPage = Readonly<Record<(typeof ways)[number] | "plain", Uint8Array>>;

/**
 * @param text `evidence/fixtures/makedumpfile-pages.json`: bytes in base64.
 * @param inflate of zlib's format.
 */
export function readStoredPages(text: string, inflate: Inflate): readonly StoredPage[] {
  const pages = JSON.parse(text) as Record<(typeof ways)[number], string>[];
  return pages.map((page) => {
    const [zlib, lzo, snappy, zstd] = ways.map((way) => new Uint8Array(Buffer.from(page[way], "base64")));
    return { zlib: zlib!, lzo: lzo!, snappy: snappy!, zstd: zstd!, plain: inflate(zlib!, 4096) };
  });
}

/** What a platform hands in; of zstd's it knows these pages and no others. */
export function codecsFor(pages: readonly StoredPage[], inflate: Inflate): PageCodecs {
  const zstd: Inflate = (bytes) => {
    const page = pages.find((stored) => Buffer.compare(stored.zstd, bytes) === 0);
    if (page === undefined) throw new InputError("zstd data: damaged");
    return page.plain;
  };
  return { zlib: inflate, zstd };
}
