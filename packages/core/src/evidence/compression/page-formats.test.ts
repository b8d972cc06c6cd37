import { readFileSync } from "node:fs";
import zlib from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../input-error.ts";
import { readStoredPages } from "../kernel/testing/stored-pages.ts";
import { expandLzo } from "./lzo.ts";
import { expandSnappy } from "./snappy.ts";

const pageBytes = 4096;
const storedPages = readStoredPages(
  readFileSync(new URL("../fixtures/makedumpfile-pages.json", import.meta.url), "utf8"),
  (bytes) => zlib.inflateSync(bytes),
);
const formats = [
  { name: "LZO", way: "lzo", expand: expandLzo },
  { name: "snappy", way: "snappy", expand: expandSnappy },
] as const;

/** What comes of an input: bytes, or the one error that there is. */
function outcome(
  expand: (bytes: Uint8Array, size: number) => Uint8Array,
  bytes: Uint8Array,
): Uint8Array | InputError {
  try {
    return expand(bytes, pageBytes);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

describe.each(formats)("$name data", ({ way, expand }) => {
  test("of pages that makedumpfile stored is what went in", () => {
    for (const page of storedPages) expect(Buffer.compare(expand(page[way], pageBytes), page.plain)).toBe(0);
  });

  test("that comes out longer than asked for is refused", () => {
    for (const page of storedPages) expect(() => expand(page[way], pageBytes - 1)).toThrow(InputError);
  });

  test("cut off anywhere is refused", () => {
    for (const page of storedPages) {
      const step = Math.ceil(page[way].length / 100);
      for (let length = 0; length < page[way].length; length += step) {
        expect(outcome(expand, page[way].subarray(0, length))).toBeInstanceOf(InputError);
      }
    }
  });

  test("with bytes behind its end is refused", () => {
    const { [way]: bytes } = storedPages[0]!;
    expect(outcome(expand, Buffer.concat([bytes, Buffer.of(0)]))).toBeInstanceOf(InputError);
  });

  test("that is damaged ends in at most a page or one error", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...storedPages), damage, (page, changes) => {
        const bytes = page[way].slice();
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const got = outcome(expand, bytes);
        if (got instanceof Uint8Array) expect(got.length).toBeLessThanOrEqual(pageBytes);
      }),
      { numRuns: 2000 },
    );
  });

  test("of no sense ends in at most a page or one error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const got = outcome(expand, bytes);
        if (got instanceof Uint8Array) expect(got.length).toBeLessThanOrEqual(pageBytes);
      }),
      { numRuns: 3000 },
    );
  });
});

test("a snappy copy of each kind takes what came out before", () => {
  // A literal "abcd", then 4 bytes from 4 back by a copy of one byte, two bytes and four bytes of offset.
  const literal = [0x0c, 0x61, 0x62, 0x63, 0x64];
  const copies = [0x01, 0x04, 0x0e, 0x04, 0x00, 0x0f, 0x04, 0x00, 0x00, 0x00];
  const out = expandSnappy(Uint8Array.of(16, ...literal, ...copies), pageBytes);
  expect(Buffer.from(out).toString()).toBe("abcd".repeat(4));
});

test("an LZO copy of each range takes what came out before", () => {
  const literals = [0x61, 0x62, 0x63, 0x64];
  // 21: 4 literals. All copies from 4 back: of 6, with 2 literals behind it; of 2, as may follow literals; of 3.
  const near = [0x24, 0x0e, 0x00, 0x78, 0x79];
  const short = [0x0c, 0x00];
  const middle = [0x4c, 0x00];
  const end = [0x11, 0, 0];
  const out = expandLzo(Uint8Array.of(21, ...literals, ...near, ...short, ...middle, ...end), pageBytes);
  expect(Buffer.from(out).toString()).toBe("abcdabcdabxyabxya");
});

test("an LZO copy from 16 KiB back and farther, and one behind a run of literals, take what came out before", () => {
  // A run of 18 + 64 * 255 + 65 literals; 3 bytes from 2049 + 4 back; 3 from 16385 back; 9 + 7 from 16384 + 16384 back is too far.
  const run = Uint8Array.from({ length: 16_403 }, (_, i) => i % 251);
  const start = [0, ...Array<number>(64).fill(0), 65];
  const behindRun = [0x00, 0x01];
  const far = [0x11, 0x04, 0x00];
  const out = expandLzo(Uint8Array.of(...start, ...run, ...behindRun, ...far, 0x11, 0, 0), 1 << 16);
  expect([...out.subarray(0, run.length)]).toEqual([...run]);
  const copied = [...run, ...run.subarray(run.length - 2053, run.length - 2050)];
  copied.push(...copied.slice(copied.length - 16_385, copied.length - 16_382));
  expect([...out]).toEqual(copied);
  expect(() => expandLzo(Uint8Array.of(...start, ...run, ...behindRun, 0x19, 0x04, 0x00), 1 << 16)).toThrow(
    "LZO data: damaged",
  );
});
