import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ByteSource, bytesSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import { FlattenedDump, isFlattened } from "./flattened.ts";
import { type FlatWrite, flattenedOf } from "./testing/kdump-writer.ts";

const write: fc.Arbitrary<FlatWrite> = fc.record({
  offset: fc.bigInt({ min: 0n, max: 300n }),
  bytes: fc.uint8Array({ maxLength: 60 }),
});
const writes = fc.array(write, { maxLength: 30 });

/** What stands in the file that the writes make. */
function plain(all: readonly FlatWrite[]): Uint8Array {
  const size = Math.max(
    0,
    ...all.map(({ offset, bytes }) => (bytes.length === 0 ? 0 : Number(offset) + bytes.length)),
  );
  const file = new Uint8Array(size);
  for (const { offset, bytes } of all) if (bytes.length > 0) file.set(bytes, Number(offset));
  return file;
}

describe("a dump in the flattened format", () => {
  test("reads as the file that its writes make, the later over the earlier", () => {
    fc.assert(
      fc.property(writes, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 10 }), (all, wanted) => {
        const file = plain(all);
        const dump = new FlattenedDump(bytesSource(flattenedOf(all)));
        expect(dump.size).toBe(file.length);
        expect(dump.incomplete).toBeUndefined();
        expect([...dump.read(0, file.length)]).toEqual([...file]);
        for (const [at, length] of wanted) {
          const start = at % (file.length + 1);
          const end = start + (length % (file.length - start + 1));
          expect([...dump.read(start, end - start)]).toEqual([...file.subarray(start, end)]);
        }
        expect(() => dump.read(file.length, 1)).toThrow(InputError);
      }),
      { numRuns: 300 },
    );
  });

  test("cut off anywhere reads as far as its records go, and says so", () => {
    fc.assert(
      fc.property(writes, fc.nat(), (all, cut) => {
        const bytes = flattenedOf(all);
        const length = cut % bytes.length;
        const dump = new FlattenedDump(bytesSource(bytes.subarray(0, length)));
        expect(dump.incomplete).toMatch(/^the file is cut off at 0x[0-9a-f]+, before the mark/);
        expect(dump.size).toBeLessThanOrEqual(plain(all).length);
        dump.read(0, dump.size);
      }),
    );
  });

  test("is told by its first bytes", () => {
    expect(isFlattened(flattenedOf([]))).toBe(true);
    expect(isFlattened(Buffer.from("makedumpfile -F"))).toBe(false);
  });

  test.each([
    ["an offset below 0", { offset: -2n, bytes: new Uint8Array(1) }],
    ["a size below 0", { offset: 0n, bytes: new Uint8Array(1), size: -5n }],
    ["an end past 2^53", { offset: 1n << 62n, bytes: new Uint8Array(1) }],
  ])("with %s is refused in one line", (_what, bad) => {
    const bytes = flattenedOf([{ offset: 0n, bytes: new Uint8Array(8) }, bad]);
    expect(() => new FlattenedDump(bytesSource(bytes, "flat"))).toThrow(
      /^flat: offset 0x1018: expected a record of the flattened format, found offset -?\d+, size -?\d+$/,
    );
  });

  test("of a foreign type is refused", () => {
    const bytes = flattenedOf([]);
    bytes[23] = 9;
    expect(() => new FlattenedDump(bytesSource(bytes, "flat"))).toThrow("flat: offset 0x10: expected type 1");
  });

  test("whose records never end is refused when there are more than a dump has", () => {
    // Each record writes one byte to offset 0: an endless file of them.
    const first = flattenedOf([{ offset: 0n, bytes: Uint8Array.of(1) }]).subarray(0, 4096 + 17);
    const record = first.subarray(4096);
    let reads = 0;
    const endless: ByteSource = {
      name: "endless",
      size: Number.MAX_SAFE_INTEGER,
      read(offset, length) {
        reads++;
        const at = Number(offset);
        if (at < 4096) return first.subarray(at, at + length);
        return Uint8Array.from({ length }, (_, i) => record[(at - 4096 + i) % record.length]!);
      },
    };
    expect(() => new FlattenedDump(endless, undefined, 10_000)).toThrow(
      "endless: more than 10000 records: put the dump together first, with `makedumpfile -R`",
    );
    expect(reads).toBeLessThan(11_000);
  });
});
