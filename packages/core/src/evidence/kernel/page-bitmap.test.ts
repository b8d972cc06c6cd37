import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesSource } from "../byte-source.ts";
import { PageBitmap } from "./page-bitmap.ts";

/** Runs of pages that are set and not set in turn. */
const runs = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 8 });

function bitmapOf(lengths: readonly number[], first: boolean): { bits: boolean[]; bitmap: PageBitmap } {
  const bits = lengths.flatMap((length, i) => Array<boolean>(length).fill((i % 2 === 0) === first));
  const bytes = new Uint8Array(3 + Math.ceil(bits.length / 8));
  bits.forEach((bit, page) => {
    if (bit) bytes[3 + (page >> 3)]! |= 1 << (page & 7);
  });
  return { bits, bitmap: new PageBitmap(bytesSource(bytes), 3, bits.length) };
}

describe("a bitmap of pages", () => {
  test("says of each page whether it is set, and how many are before it", () => {
    fc.assert(
      fc.property(runs, fc.boolean(), fc.array(fc.nat(), { maxLength: 20 }), (lengths, first, wanted) => {
        const { bits, bitmap } = bitmapOf(lengths, first);
        for (const page of wanted.map((number) => number % bits.length)) {
          expect(bitmap.has(page)).toBe(bits[page]);
          expect(bitmap.rank(page)).toBe(bits.slice(0, page).filter(Boolean).length);
        }
        expect(bitmap.has(bits.length)).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  test("gives its runs as ranges of addresses", () => {
    fc.assert(
      fc.property(runs, fc.boolean(), (lengths, first) => {
        const { bitmap } = bitmapOf(lengths, first);
        const expected: { start: bigint; end: bigint }[] = [];
        let page = 0;
        for (const [i, length] of lengths.entries()) {
          if ((i % 2 === 0) === first) {
            expected.push({ start: BigInt(page) * 4096n, end: BigInt(page + length) * 4096n });
          }
          page += length;
        }
        expect(bitmap.ranges(4096)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test("gives ranges up to the block behind so many set pages", () => {
    const bitmap = new PageBitmap(bytesSource(new Uint8Array(1 << 18).fill(0xff)), 0, 1 << 21);
    expect(bitmap.ranges(4096, 0)).toEqual([]);
    expect(bitmap.ranges(4096, 1)).toEqual([{ start: 0n, end: 0x800_0000n }]);
    expect(bitmap.ranges(4096, 0x8001)).toEqual([{ start: 0n, end: 0x1000_0000n }]);
    expect(bitmap.ranges(4096, 1 << 21)).toEqual([{ start: 0n, end: 0x2_0000_0000n }]);
  });

  test("of a million runs ends in one last range that spans the rest", () => {
    const bitmap = new PageBitmap(bytesSource(new Uint8Array(1 << 18).fill(0x55)), 0, 1 << 21);
    const ranges = bitmap.ranges(4096);
    expect(ranges.length).toBe(1 << 16);
    expect(ranges.at(-1)!.end).toBe((1n << 21n) * 4096n);
  });
});
