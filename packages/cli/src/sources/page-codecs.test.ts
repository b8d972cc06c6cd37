import zlib from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pageCodecs, zstdInScript } from "./page-codecs.ts";

// A page of 64 lines, as `ZSTD_compress` writes it at level 1: it says its length.
const page = Buffer.from(
  "PIR of a posted-interrupt descriptor, 256 bits of it; 512 in all\n".repeat(64),
).subarray(0, 4096);
const zstd = Buffer.from(
  "KLUv/WAADy0CABKEDhWgOQdJOrGRByRsKruFMr6S2ujXiRHAWsgMbYbj4miVbsfExDEONq+4Srvk67J7Zyike0s1skojxhEBAAHvCT9EAQ==",
  "base64",
);

describe.each([
  ["zlib", pageCodecs.zlib, zlib.deflateSync(page)],
  ["zstd", pageCodecs.zstd, zstd],
  ["zstd without Node's help", zstdInScript, zstd],
] as const)("a page in %s", (_name, inflate, bytes) => {
  test("is what went in", () => {
    expect(Buffer.compare(inflate(bytes, 4096), page)).toBe(0);
  });

  test("is refused when it comes out longer than asked for", () => {
    expect(() => inflate(bytes, 4095)).toThrow();
  });

  test("is refused when it is cut off", () => {
    for (let length = 0; length < bytes.length - 4; length++)
      expect(() => inflate(bytes.subarray(0, length), 4096)).toThrow();
  });

  test("comes to no more than a page when it is damaged", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }), (changes) => {
        const damaged = Buffer.from(bytes);
        for (const [at, value] of changes) damaged[at % damaged.length] = value;
        let got: Uint8Array;
        try {
          got = inflate(damaged, 4096);
        } catch {
          return;
        }
        expect(got.length).toBeLessThanOrEqual(4096);
      }),
      { numRuns: 500 },
    );
  });
});

test("a zstd frame that does not say its length, or says gigabytes, is refused before it is read", () => {
  for (const header of [
    [0, 0x58],
    [0xa0, 0, 0, 0, 0x40],
    [0xe0, 0, 0, 0, 0, 1, 0, 0, 0],
  ]) {
    const bytes = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, ...header, ...Array<number>(20).fill(0));
    expect(() => zstdInScript(bytes, 4096)).toThrow("zstd data: expected a frame that says a page's length");
  }
});
