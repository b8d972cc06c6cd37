import { readFileSync } from "node:fs";
import zlib from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesSource } from "../byte-source.ts";
import { InputError } from "../input-error.ts";
import { KdumpCore } from "./kdump-core.ts";
import { UnreadableMemory } from "./memory.ts";
import { openPhysicalMemory } from "./open-physical.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { type KdumpOptions, flattenedOf, kdumpOf } from "./testing/kdump-writer.ts";
import { codecsFor, readStoredPages } from "./testing/stored-pages.ts";

const pageBytes = 4096;
const fixtures = new URL("../fixtures/", import.meta.url);

function inflate(bytes: Uint8Array, size: number): Uint8Array {
  return zlib.inflateSync(bytes, { maxOutputLength: size });
}

const storedPages = readStoredPages(
  readFileSync(new URL("makedumpfile-pages.json", fixtures), "utf8"),
  inflate,
);
const testCodecs = codecsFor(storedPages, inflate);

function open(bytes: Uint8Array): PhysicalMemory {
  return openPhysicalMemory(bytesSource(bytes, "dump"), testCodecs);
}

/** Page `number` of the machine that QEMU dumped; the others are zeros. */
function pageOfMachine(number: number): Uint8Array {
  const page = new Uint8Array(pageBytes);
  const n = number - 16;
  if (n < 0 || n >= 12) return page;
  if (n % 4 === 1) page.set(Buffer.from(`page ${n} of a small machine; `.repeat(200)).subarray(0, pageBytes));
  let x = n;
  for (let i = 0; i < pageBytes; i++) {
    if (n % 4 === 2) page[i] = i % 64 < 40 ? i * n : 0;
    if (n % 4 === 3) {
      x = Number((BigInt(x) * 1_103_515_245n + 12_345n) & 0x7fff_ffffn);
      page[i] = x >> 16;
    }
  }
  return page;
}

function fixture(name: string): Uint8Array {
  return zlib.brotliDecompressSync(readFileSync(new URL(name, fixtures)));
}

describe.each(["qemu-10.0-kdump.br", "qemu-10.0-kdump-flattened.br"])("a dump by QEMU, %s", (name) => {
  const bytes = fixture(name);

  test("has every page as the machine had it", () => {
    const memory = open(bytes);
    expect(memory.ranges).toEqual([
      { start: 0n, end: 0x10_0000n },
      { start: 0xffff_0000n, end: 0x1_0000_0000n },
    ]);
    for (const { start, end } of memory.ranges) {
      for (let at = start; at < end; at += BigInt(pageBytes)) {
        expect(Buffer.compare(memory.read(at, pageBytes), pageOfMachine(Number(at / 4096n)))).toBe(0);
      }
    }
    expect(memory.incomplete).toBeUndefined();
  });

  test("cut off anywhere ends in one error, or reads as far as it goes", () => {
    for (let length = 0; length < bytes.length; length += 5003) {
      let memory: PhysicalMemory;
      try {
        memory = open(bytes.subarray(0, length));
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        expect((error as Error).message).toMatch(/^dump: .*(?:end|cut off|expected an ELF core)/);
        continue;
      }
      for (let page = 0; page < 40; page++) {
        const read = attempt(() => memory.read(BigInt(page * pageBytes), pageBytes));
        // In a flattened file, what was not written yet is zeros.
        if (read !== undefined && memory.incomplete === undefined) {
          expect(Buffer.compare(read, pageOfMachine(page))).toBe(0);
        }
      }
    }
  });

  test("that is damaged is read in bounded time, and ends in nothing but one error", () => {
    const headers = bytes.length - pageBytes * 4;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }), (changes) => {
        const damaged = bytes.slice();
        for (const [at, value] of changes) damaged[(at * 7) % headers] = value;
        const memory = attempt(() => open(damaged));
        if (memory === undefined) return;
        for (const page of [0, 16, 17, 27, 255, 256, 0xffff0, 2 ** 39]) {
          attempt(() => memory.read(BigInt(page) * 4096n, pageBytes));
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** Undefined for an InputError, and nothing else. */
function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

const flags = { zlib: 1, lzo: 2, snappy: 4, zstd: 0x20 } as const;
const ways = ["zlib", "lzo", "snappy", "zstd", "plain"] as const;

/** Pages 3, 6, 9 … of a machine, each stored in another way. */
const mixed = new Map(
  ways.flatMap((way, w) =>
    storedPages.map((page, i) => [
      3 * (1 + w * storedPages.length + i),
      { flags: way === "plain" ? 0 : flags[way], bytes: page[way], plain: page.plain },
    ]),
  ),
);
const end = 40_000;

function mixedDump(options: Partial<KdumpOptions> = {}): Uint8Array {
  return kdumpOf({ pages: mixed, end, leftOut: [4, 5, 39_999], ...options });
}

describe("a kdump-compressed dump", () => {
  test.each([
    ["as makedumpfile writes it", mixedDump()],
    ["with headers of version 5", mixedDump({ version: 5 })],
    ["with one bitmap", mixedDump({ oneBitmap: true, leftOut: [] })],
  ])("%s has each page, in whichever way it is stored", (_what, bytes) => {
    const memory = open(bytes);
    for (const [number, { plain }] of mixed) {
      expect(Buffer.compare(memory.read(BigInt(number) * 4096n, pageBytes), plain)).toBe(0);
    }
  });

  test("is the same in the flattened format, whose first writes are written over", () => {
    const bytes = mixedDump();
    const half = bytes.length >> 1;
    const memory = open(
      flattenedOf([
        { offset: 0n, bytes: new Uint8Array(pageBytes).fill(0xee) },
        { offset: BigInt(half), bytes: bytes.subarray(half) },
        { offset: 0n, bytes: bytes.subarray(0, half) },
      ]),
    );
    for (const [number, { plain }] of mixed) {
      expect(Buffer.compare(memory.read(BigInt(number) * 4096n, pageBytes), plain)).toBe(0);
    }
  });

  test("reads across pages, and refuses when one of them is not there", () => {
    const pages = new Map(
      [0, 1, 2].map((number) => [number, { flags: 0, bytes: new Uint8Array(pageBytes).fill(number + 1) }]),
    );
    const memory = open(kdumpOf({ pages, end: 8 }));
    const bytes = memory.read(4090n, 4096 + 12);
    expect([bytes[0], bytes[5], bytes[6], bytes[4101], bytes[4102], bytes[4107]]).toEqual([1, 1, 2, 2, 3, 3]);
    expect(() => memory.read(8190n, 4100)).toThrow("dump: 2 bytes at 0x3000: in no page of the dump");
    expect(() => memory.read(0n, 2 ** 40)).toThrow("past the last page of the dump");
    expect(() => memory.read(1n << 63n, 8)).toThrow(UnreadableMemory);
  });

  test.each([
    ["that was left out", 4, {}, "left out of the dump"],
    ["that the machine does not have", 7, {}, "in no page of the dump"],
    ["past the last", end, {}, "in no page of the dump"],
    ["whose descriptor was not written", 3, { offset: 0 }, "left out of the dump, which is incomplete"],
    ["past the end of the file", 3, { offset: 2 ** 45 }, "the dump ends before it"],
    ["of no size", 3, { size: 0 }, "its page descriptor says 0 bytes"],
    ["of too large a size", 3, { size: 2 ** 31 }, "its page descriptor says 2147483648 bytes"],
    ["in a way that there is not", 3, { flags: 0x40 }, "its page descriptor has flags 0x40"],
    ["of damaged zlib data", 3, { flags: 1, bytes: new Uint8Array(9) }, "its page is damaged"],
    [
      "of damaged LZO data",
      3,
      { flags: 2, bytes: new Uint8Array(9) },
      "LZO data: damaged or cut off at byte ",
    ],
    [
      "that comes out short",
      3,
      { flags: 4, bytes: Uint8Array.of(1, 0, 7) },
      "expected 4096 bytes of its page at 0x",
    ],
  ])("names a page %s, and leaves the others readable", (_what, page, change, why) => {
    const pages = new Map([...mixed, [3, { ...mixed.get(3)!, ...change }]]);
    const memory = open(mixedDump({ pages }));
    expect(() => memory.read(BigInt(page) * 4096n + 8n, 8)).toThrow(why);
    expect(() => memory.read(BigInt(page) * 4096n + 8n, 8)).toThrow(UnreadableMemory);
    expect(Buffer.compare(memory.read(6n * 4096n, pageBytes), mixed.get(6)!.plain)).toBe(0);
  });

  test("says where its VMCOREINFO is, if it is text of one", () => {
    const vmcoreinfo = Buffer.from("OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    expect(open(mixedDump({ vmcoreinfo })).vmcoreinfo).toEqual(vmcoreinfo);
    expect(open(mixedDump({ vmcoreinfo, version: 2 })).vmcoreinfo).toBeUndefined();
    expect(open(mixedDump({ vmcoreinfo: Buffer.from("RELEASE=1") })).vmcoreinfo).toBeUndefined();
    expect(open(mixedDump()).vmcoreinfo).toBeUndefined();
  });

  test("says that it is incomplete when its header does", () => {
    expect(open(mixedDump({ status: 0x9 })).incomplete).toContain("no room");
    expect(open(mixedDump({ status: 0x1 })).incomplete).toBeUndefined();
  });

  test.each([
    [
      "one part of a split dump",
      { split: [16, 32] as const },
      "one part of a split dump (pages 16 to 32): put its parts",
    ],
    ["another architecture", { machine: "aarch64" }, 'expected a dump of x86_64, found "aarch64"'],
    ["other blocks", { blockSize: 65_536 }, "expected blocks of 4096 bytes, found 65536"],
    ["bitmaps past its end", { bitmapBlocks: 2 ** 31 }, "expected bitmaps up to offset 0x"],
    ["too small bitmaps", { bitmapBlocks: 0 }, "expected bitmaps of 5000 bytes for 40000 pages, found 0"],
  ])("of %s is refused in one line", (_what, options, message) => {
    expect(() => open(mixedDump(options))).toThrow(message);
    expect(() => open(mixedDump(options))).toThrow(/^dump: offset 0x[0-9a-f]+: [^\n]+$/);
  });

  test("of more pages than a machine has is refused", () => {
    const bytes = Buffer.from(mixedDump());
    for (const pages of [0n, 1n << 40n]) {
      bytes.writeBigUInt64LE(pages, pageBytes + 96);
      expect(() => open(bytes)).toThrow(`expected 1 to ${2 ** 34} pages, found ${pages}`);
    }
  });

  test("keeps no more pages than it may, and reads them right all the same", () => {
    const pages = new Map(
      Array.from({ length: 1500 }, (_, number) => {
        const bytes = new Uint8Array(pageBytes);
        new DataView(bytes.buffer).setUint32(0, number);
        return [number, { flags: 0, bytes }];
      }),
    );
    const source = bytesSource(kdumpOf({ pages, end: 1500 }));
    let reads = 0;
    const memory = new KdumpCore(
      { ...source, read: (at, length) => (reads++, source.read(at, length)) },
      testCodecs,
    );
    const numberAt = (page: number): number =>
      Buffer.from(memory.read(BigInt(page) * 4096n, 4)).readUInt32BE();
    for (let page = 0; page < 1500; page++) expect(numberAt(page)).toBe(page);
    reads = 0;
    expect(numberAt(1499)).toBe(1499);
    expect(reads).toBe(0);
    expect(numberAt(0)).toBe(0);
    expect(reads).toBe(2);
  });
});

test("what is no dump is refused in one line", () => {
  for (const text of ["", "KDUMP", "text"]) {
    expect(() => open(Buffer.from(text))).toThrow("dump: expected an ELF core or a kdump-compressed dump");
  }
  expect(() => open(Buffer.from("KDUMP   "))).toThrow("dump: offset 0x0: expected the headers");
  expect(() => open(flattenedOf([{ offset: 0n, bytes: Buffer.from("text") }]))).toThrow(
    "dump: expected an ELF core",
  );
  expect(() => open(flattenedOf([], false))).toThrow("dump: the file is cut off at 0x1000");
});
