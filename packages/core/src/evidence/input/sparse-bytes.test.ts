import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SparseBytes } from "./sparse-bytes.ts";

const piece = 1 << 16;

async function* chunksOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

describe("sparse bytes", () => {
  test("are what was appended, wherever they are read", async () => {
    const chunk = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.integer({ min: 1, max: 3 * piece }).map((length) => new Uint8Array(length)),
      fc.integer({ min: 1, max: 2 * piece }).map((length) => new Uint8Array(length).fill(9)),
    );
    const reads = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 8 }), reads, async (chunks, wanted) => {
        const whole = Buffer.concat(chunks);
        const bytes = await SparseBytes.from(chunksOf(chunks), "bytes", () => {});
        expect(bytes.size).toBe(whole.length);
        for (const [from, span] of wanted) {
          const start = from % (whole.length + 1);
          const length = span % (whole.length - start + 1);
          expect(Buffer.compare(bytes.read(start, length), whole.subarray(start, start + length))).toBe(0);
          expect(
            Buffer.compare(bytes.read(BigInt(start), length), whole.subarray(start, start + length)),
          ).toBe(0);
        }
        expect(() => bytes.read(whole.length, 1)).toThrow(
          /^bytes: offset 0x[0-9a-f]+: expected 1 bytes, the end/,
        );
        expect(() => bytes.read(-1, 1)).toThrow("expected 1 bytes");
      }),
      { numRuns: 60 },
    );
  });

  test("take room for what is not zero only", () => {
    const bytes = new SparseBytes("bytes");
    for (let i = 0; i < 1000; i++) bytes.append(new Uint8Array(piece));
    bytes.append(new Uint8Array(piece).fill(1));
    expect(bytes.size).toBe(1001 * piece);
    expect(bytes.kept).toBe(piece);
  });

  test("end at a limit in one line, for zeros too", () => {
    const limits = { kept: 2 * piece, length: 5 * piece };
    const full = new SparseBytes("core.xz", limits);
    full.append(new Uint8Array(2 * piece).fill(1));
    expect(() => full.append(new Uint8Array(piece).fill(1))).toThrow(
      "core.xz: more than 128 KiB that are not zeros when expanded, which is the most that is kept in memory; expand it into a file first",
    );
    const zeros = new SparseBytes("core.xz", limits);
    expect(() => zeros.append(new Uint8Array(6 * piece))).toThrow("core.xz: more than 320 KiB in all");
  });
});
